using System.Diagnostics;
using System.Globalization;
using System.Net;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>R12: SIGTERM: nothing new begins, what is under way ends or is kept as interrupted, the log is empty, the exit code 0.</summary>
[Trait(Promise.Trait, "R12")]
public sealed class GracefulStopTests(ITestOutputHelper output)
{
    // Its grace for answers is 10 s, and a container engine waits 40 s.
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(25);

    [Fact]
    public async Task Gateway_LetsShortAnswersEnd_KeepsWhatThereIsOfLongOnes_AndBeginsNothing()
    {
        var promise = new Promise("R12", output);
        var many = Promise.Size(20, 200);
        // The short form does not wait for the default.
        await using var system = await RunningSystem.StartAsync(settings:
        [
            ("Limits__MaxConcurrentTurns", $"{many + 3}"), ("Limits__StopGrace", Promise.IsLong ? "00:00:10" : "00:00:05"), ("Simulator__RecordedRequests", "2000"),
        ]);
        using var simulator = new SimulatorProbe(system.Simulator!);
        var (shortOne, longOne, background) = (NewPrompt(), NewPrompt(), NewPrompt());
        var shortAnswer = system.Client.StreamAsync(Body(shortOne, stream: true, """{"tokens":60,"token_ms":40}"""));
        var longAnswer = system.Client.StreamAsync(Body(longOne, stream: true, """{"tokens":10000,"token_ms":20}"""));
        // As many as there are places, so that it is stopped while it sheds.
        var others = Enumerable.Range(0, many).Select(_ => system.Client.StreamAsync(Body(NewPrompt(), stream: true, """{"tokens":10000,"token_ms":50}"""))).ToArray();
        var begun = await system.Client.PostJsonAsync("/v1/responses", $$$"""{"background":true,"input":"{{{background}}}","simulator":{"tokens":10000,"token_ms":20}}""");
        Assert.Equal(HttpStatusCode.OK, begun.Status);
        await simulator.WaitForOutcomeAsync(shortOne, "running");
        await simulator.WaitForOutcomeAsync(longOne, "running");
        await simulator.WaitForOutcomeAsync(background, "running");
        await Eventually.GetAsync(() => simulator.MetricAsync("vllm:num_requests_running"), running => running == many + 3);

        var began = Stopwatch.GetTimestamp();
        var stopped = system.Gateway.StopAsync();
        var refused = await Eventually.GetAsync(
            () => system.Client.PostJsonAsync(Completions, Body("too late", stream: false)), answer => answer.ErrorCode == "shutting_down");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "5"), (refused.Status, refused.Headers["Retry-After"]));
        // Whoever decides by it where to send requests is told, and history is read to the end.
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await system.Client.GetAsync("/health")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await system.Client.GetJsonAsync("/v1/sessions?user_id=default_user")).Status);
        await stopped.WaitAsync(s_limit);
        var took = Stopwatch.GetElapsedTime(began);

        var (ended, cut) = (await shortAnswer, await longAnswer);
        Assert.Equal((true, null), (ended.IsDone, ended.Cut));
        Assert.Equal(("shutting_down", HttpRequestError.ResponseEnded), (cut.ErrorCode, cut.Cut?.HttpRequestError));
        Assert.All(await Task.WhenAll(others), other => Assert.Equal("shutting_down", other.ErrorCode));
        await simulator.WaitForOutcomeAsync(longOne, "aborted");
        Assert.Empty(await simulator.RequestsWithAsync("too late"));
        await AssertStorageEndsEmptyAsync(system);

        using (var database = OtherTool.Open(system.DatabasePath))
        {
            Assert.Equal(["completed|1", $"interrupted|{many + 2}"], database.Query("SELECT status, count(*) || '' FROM messages WHERE role = 'assistant' GROUP BY status ORDER BY status"));
        }

        await system.Storage.RestartAsync();
        await system.Gateway.RestartAsync();
        await system.WaitUntilHealthyAsync();
        Assert.Equal(("completed", ended.Content), await StoredAnswerAsync(system.Client, ended.SessionId));
        Assert.Equal(("interrupted", cut.Content), await StoredAnswerAsync(system.Client, cut.SessionId));
        promise.Figure(string.Create(CultureInfo.InvariantCulture, $"SIGTERM with {many + 3} answers under way: exit 0 after {took.TotalSeconds:0.0} s, 1 ended, {many + 2} interrupted with their text, new ones 503, log empty"));
    }

    [Fact]
    public async Task IdleGateway_StopsAtOnce()
    {
        await using var system = await RunningSystem.StartAsync();
        var began = Stopwatch.GetTimestamp();

        await system.Gateway.StopAsync();

        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(8));
    }

    [Fact]
    public async Task Storage_UnderLoad_WritesWhatItTook_AndEndsWithAnEmptyLog()
    {
        await using var system = await RunningSystem.StartAsync(settings: ("Storage__BeginPatience", "00:00:00.2"));
        using var enough = new CancellationTokenSource();
        var clients = Enumerable.Range(0, Promise.Size(10, 50)).Select(_ => ChatAsync(system.Client, enough.Token)).ToArray();
        await Eventually.GetAsync(() => Task.FromResult(clients.Length), _ => system.Gateway.OpenFiles() is null or > 0);
        await system.Client.StreamAsync(Body(NewPrompt(), stream: true));

        await AssertStorageEndsEmptyAsync(system);
        // It says so instead of waiting, and goes on when storage is back.
        await Eventually.GetAsync(() => system.Client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false)), answer => answer.ErrorCode == "storage_unavailable");
        await system.Storage.RestartAsync();
        await system.WaitUntilHealthyAsync();
        await Eventually.GetAsync(async () => (await system.Client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false))).Status, status => status == HttpStatusCode.OK);

        await enough.CancelAsync();
        var finished = (await Task.WhenAll(clients)).SelectMany(ids => ids).ToArray();
        await system.Gateway.StopAsync();
        await AssertStorageEndsEmptyAsync(system);
        using var database = OtherTool.Open(system.DatabasePath);
        Assert.Equal(["ok"], database.Query("PRAGMA integrity_check"));
        Assert.Empty(finished.Except(database.Query("SELECT message_id FROM messages WHERE status = 'completed'")));
        Assert.Equal(["0"], database.Query("SELECT count(*) || '' FROM messages WHERE status = 'in_progress'"));
    }

    private static async Task AssertStorageEndsEmptyAsync(RunningSystem system)
    {
        await system.Storage.StopAsync().WaitAsync(s_limit);
        var leftOver = new FileInfo(system.DatabasePath + "-wal");
        Assert.False(leftOver.Exists && leftOver.Length > 0, "a stopped storage service leaves nothing in the write-ahead log");
    }

    /// <summary>Asks turn after turn, and returns the answers that were seen finished.</summary>
    private static async Task<List<string>> ChatAsync(HttpClient client, CancellationToken enough)
    {
        var finished = new List<string>();
        while (!enough.IsCancellationRequested)
        {
            var answer = await client.StreamAsync(Body(NewPrompt(), stream: true, """{"tokens":20,"token_ms":2}"""));
            if (answer.IsDone)
            {
                finished.Add(answer.Headers["X-Message-Id"]);
            }
        }

        return finished;
    }

    private static async Task<(string?, string?)> StoredAnswerAsync(HttpClient client, string sessionId)
    {
        var answer = (await client.MessagesOfAsync(sessionId))[1];
        return (answer.GetProperty("status").GetString(), answer.GetProperty("content").GetString());
    }
}
