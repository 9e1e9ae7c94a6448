using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>R17: ten times as many clients as there are places: those within get what they got before, the others are told at once to come again.</summary>
[Trait(Promise.Trait, "R17")]
[Collection(Alone.Name)]
public sealed class OverloadTests(ITestOutputHelper output)
{
    private const int Places = 16;
    private const int Factor = 10;
    // Impatient: Retry-After says a second.
    private static readonly TimeSpan s_comesBackAfter = TimeSpan.FromMilliseconds(250);

    [Fact]
    public async Task TenTimesTheCapacity_IsShedAtOnce_AndTheRestIsServedAsBefore()
    {
        var promise = new Promise("R17", output);
        await using var system = await RunningSystem.StartAsync(settings:
        [
            ("Limits__MaxConcurrentTurns", $"{Places}"), ("Simulator__RecordedRequests", "0"), ("Context__MaxTokens", "1000000"),
        ]);
        var length = TimeSpan.FromSeconds(Promise.Size(3, 30));
        await RunAsync(system, Places, TimeSpan.FromSeconds(1));

        var peak = await RunAsync(system, Places, length);
        var overload = await RunAsync(system, Places * Factor, length);

        promise.Figure(string.Create(CultureInfo.InvariantCulture,
            $"{Places} places, {Places * Factor} clients: {peak.Answered / length.TotalSeconds:0} -> {overload.Answered / length.TotalSeconds:0} answers/s ({100.0 * overload.Answered / peak.Answered:0} %), {overload.Shed.Count} shed after p50 {overload.Shed.Percentile(50).Milliseconds()}, p99 {overload.Shed.Percentile(99).Milliseconds()}; a write beside them p50 {overload.Writes.Percentile(50).Milliseconds()}, p99 {overload.Writes.Percentile(99).Milliseconds()}"));
        Assert.Empty(overload.Wrong);
        Assert.Empty(peak.Wrong);
        Assert.NotEmpty(overload.Shed);
        // The load comes from the same two cores: the short form leaves room for what else runs on them.
        Assert.True(overload.Answered >= peak.Answered * Promise.Size(75, 90) / 100, $"{peak.Answered} became {overload.Answered}");
        var atOnce = AtOnce(overload);
        Assert.InRange(overload.Shed.Percentile(50), TimeSpan.Zero, atOnce);
        Assert.InRange(overload.Writes.Percentile(50), TimeSpan.Zero, atOnce);
    }

    // On a machine that is busy with other things: as soon as what needs neither a place nor storage.
    private static TimeSpan AtOnce(Load load) => new[] { TimeSpan.FromMilliseconds(50), 2 * load.Others.Percentile(50) }.Max();

    [Fact]
    public async Task ShedRequest_IsNotRead_NotStored_AndSaysWhenToComeAgain()
    {
        await using var system = await RunningSystem.StartAsync(settings: [("Limits__MaxConcurrentTurns", "1"), ("Limits__MaxConcurrentPassThrough", "1")]);
        using var probe = new SimulatorProbe(system.Simulator!);
        var held = NewPrompt();
        using var holder = await RawConnection.PostAsync(system.Client.BaseAddress!, Completions, Body(held, stream: true, """{"tokens":100000,"token_ms":20}"""));
        await probe.WaitForOutcomeAsync(held, "running");

        foreach (var path in new[] { Completions, "/v1/responses" })
        {
            // The body is promised and never sent: whoever read it would wait.
            using var connection = await RawConnection.SendAsync(system.Client.BaseAddress!, $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20000000\r\n\r\n");
            await connection.ReadUntilAsync(_ => true);
            Assert.StartsWith("HTTP/1.1 503", connection.Head, StringComparison.Ordinal);
            Assert.Equal("1", connection.Header("Retry-After"));
        }

        var shed = await system.Client.PostJsonAsync(Completions, Body("shed", stream: true));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "overloaded", "server_error"), (shed.Status, shed.ErrorCode, shed.ErrorType));
        Assert.Contains("Limits:MaxConcurrentTurns", shed.ErrorMessage, StringComparison.Ordinal);
        var background = await system.Client.PostJsonAsync("/v1/responses", """{"background":true,"input":"shed"}""");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "overloaded"), (background.Status, background.ErrorCode));
        Assert.Empty(await probe.RequestsWithAsync("shed"));
        // Everything else goes on: history, and what passes through has places of its own.
        Assert.Equal(HttpStatusCode.OK, (await system.Client.GetJsonAsync("/v1/sessions?user_id=default_user")).Status);
        Assert.Equal(HttpStatusCode.OK, (await system.Client.PostJsonAsync("/v1/embeddings", $$"""{"model":"{{RunningSystem.Model}}","input":"x"}""")).Status);

        holder.Dispose();
        await probe.WaitForOutcomeAsync(held, "aborted");
        await Eventually.GetAsync(async () => (await system.Client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false))).Status, status => status == HttpStatusCode.OK);
    }

    private static async Task<Load> RunAsync(RunningSystem system, int clients, TimeSpan length)
    {
        var load = new Load();
        using var enough = new CancellationTokenSource(length);
        var session = (await system.Client.PostJsonAsync("/v1/sessions", """{"user_id":"writer"}""")).Body.GetProperty("session_id").GetString();
        await Task.WhenAll([.. Enumerable.Range(0, clients).Select(_ => AskAsync(system.Client, load, enough.Token)), WriteAsync(system.Client, $"/v1/sessions/{session}/messages", load, enough.Token)]);
        return load;
    }

    private static async Task AskAsync(HttpClient client, Load load, CancellationToken enough)
    {
        var body = Body("overload", stream: true, """{"tokens":20,"token_ms":10}""");
        while (!enough.IsCancellationRequested)
        {
            var began = Stopwatch.GetTimestamp();
            var answer = await client.StreamAsync(body);
            if (answer is { Status: HttpStatusCode.OK, IsDone: true })
            {
                Interlocked.Increment(ref load.Answered);
            }
            else if (answer.Status == HttpStatusCode.ServiceUnavailable && answer.Headers.GetValueOrDefault("Retry-After") == "1")
            {
                load.Shed.Add(Stopwatch.GetElapsedTime(began));
                await Task.Delay(s_comesBackAfter, enough).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            else
            {
                load.Wrong.Add(answer.Text);
            }
        }
    }

    /// <summary>A write to storage now and then, without a model: how long a commit takes meanwhile.</summary>
    private static async Task WriteAsync(HttpClient client, string path, Load load, CancellationToken enough)
    {
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!enough.IsCancellationRequested)
        {
            var began = Stopwatch.GetTimestamp();
            Assert.Equal(HttpStatusCode.Created, (await client.PostJsonAsync(path, """{"role":"user","content":"x"}""")).Status);
            load.Writes.Add(Stopwatch.GetElapsedTime(began));
            began = Stopwatch.GetTimestamp();
            Assert.Equal(HttpStatusCode.NotFound, (await client.GetJsonAsync("/v1/no-such-route")).Status);
            load.Others.Add(Stopwatch.GetElapsedTime(began));
            await pause.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private sealed class Load
    {
        public int Answered;

        public ConcurrentBag<TimeSpan> Shed { get; } = [];

        public ConcurrentBag<TimeSpan> Writes { get; } = [];

        /// <summary>Requests that are answered without storage and without a model.</summary>
        public ConcurrentBag<TimeSpan> Others { get; } = [];

        public ConcurrentBag<string> Wrong { get; } = [];
    }
}
