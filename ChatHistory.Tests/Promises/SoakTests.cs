using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>R11: hours of conversations, with restarts: nothing that was finished is lost, and neither memory nor handles nor threads nor the log grow.</summary>
/// <remarks>
/// The first half has a restart of one service after the other, by SIGTERM or SIGKILL; in the second half the processes live, and what they hold is measured. The long form takes 20 minutes, or
/// CHATHISTORY_SOAK_MINUTES.
/// </remarks>
[Trait(Promise.Trait, "R11")]
public sealed class SoakTests(ITestOutputHelper output)
{
    private const int Clients = 8;

    /// <summary>Of the medians of two quarters of the steady half; what a garbage collector keeps for itself swings by this much.</summary>
    private const double MaxGrowthMegabytes = 48;

    private static readonly TimeSpan s_duration = Promise.IsLong
        ? TimeSpan.FromMinutes(double.Parse(Environment.GetEnvironmentVariable("CHATHISTORY_SOAK_MINUTES") is { Length: > 0 } minutes ? minutes : "20", CultureInfo.InvariantCulture))
        : TimeSpan.FromSeconds(8);

    [Fact]
    public async Task LongRun_LosesNothing_AndGrowsNowhere()
    {
        var promise = new Promise("R11", output);
        var random = new Random(promise.Seed);
        var finished = new ConcurrentDictionary<string, string>();
        var conversations = 0;
        await using var system = await RunningSystem.StartAsync(settings:
            [("Turns__AbandonedAfter", "00:00:03"), ("Backup__Every", Promise.IsLong ? "00:01:00" : "00:00:02"), ("Backup__Keep", "3")]);
        using var enough = new CancellationTokenSource();
        var clients = Enumerable.Range(0, Clients)
            .Select(i => ChatAsync(system.Client.BaseAddress!, new Random(HashCode.Combine(promise.Seed, i)), finished, () => Interlocked.Increment(ref conversations), enough.Token))
            .ToArray();

        var began = Stopwatch.GetTimestamp();
        var restarts = await RestartAsync(system, random, s_duration / 2);
        var measured = await MeasureAsync(system, s_duration / 2);
        var perMinute = conversations / Stopwatch.GetElapsedTime(began).TotalMinutes;
        await enough.CancelAsync();
        await Task.WhenAll(clients).WaitAsync(TimeSpan.FromSeconds(60));
        await system.Gateway.StopAsync();
        await system.Storage.StopAsync();

        using (var database = OtherTool.Open(system.DatabasePath))
        {
            Assert.Equal(["ok"], database.Query("PRAGMA integrity_check"));
            var stored = database.Query("SELECT message_id, content FROM messages WHERE role = 'assistant' AND status = 'completed'").Select(row => row.Split('|', 2)).ToDictionary(row => row[0], row => row[1]);
            Assert.NotEmpty(finished);
            Assert.DoesNotContain(finished, answer => stored.GetValueOrDefault(answer.Key) != answer.Value);
        }

        Assert.True(perMinute >= 100, $"only {perMinute} conversations a minute");
        Assert.InRange(measured.Max(sample => sample.LogBytes), 0, 64L * 1024 * 1024);
        var figures = string.Join("; ", Growth("gateway", measured.Select(sample => sample.Gateway).ToList(), s_duration / 2), Growth("storage", measured.Select(sample => sample.Storage).ToList(), s_duration / 2));
        promise.Figure(string.Create(
            CultureInfo.InvariantCulture,
            $"{s_duration.TotalMinutes:0.0} minutes, {perMinute:0} conversations/min, {restarts} restarts, {finished.Count} finished answers, 0 lost; log at most {measured.Max(sample => sample.LogBytes) / 1024.0 / 1024:0.0} MiB; {figures}"));
    }

    /// <summary>Each service in turn, gently or not.</summary>
    private static async Task<int> RestartAsync(RunningSystem system, Random random, TimeSpan duration)
    {
        var interval = duration / (Promise.IsLong ? 10 : 2);
        var began = Stopwatch.GetTimestamp();
        var restarts = 0;
        while (Stopwatch.GetElapsedTime(began) < duration)
        {
            // Not to wait for anything: this is how long the service is to live.
            await Task.Delay(interval * (0.5 + random.NextDouble() / 2));
            var service = restarts++ % 2 == 0 ? system.Storage : system.Gateway;
            if (random.Next(2) == 0)
            {
                await service.KillAsync();
            }
            else
            {
                await service.StopAsync();
            }

            await service.RestartAsync();
            await system.WaitUntilHealthyAsync();
        }

        return restarts;
    }

    private static async Task<List<Sample>> MeasureAsync(RunningSystem system, TimeSpan duration)
    {
        var samples = new List<Sample>();
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(Promise.IsLong ? 1000 : 100));
        var began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < duration)
        {
            var log = new FileInfo(system.DatabasePath + "-wal");
            samples.Add(new Sample(Held.By(system.Gateway.Id), Held.By(system.Storage.Id), log.Exists ? log.Length : 0));
            await pause.WaitForNextTickAsync();
        }

        return samples;
    }

    /// <summary>Compares the second quarter, when everything is warm, with the last one.</summary>
    private static string Growth(string service, List<Held> samples, TimeSpan duration)
    {
        var quarter = samples.Count / 4;
        Held Median(int from) => new(
            samples.Skip(from).Take(quarter).Select(held => held.Megabytes).Order().ElementAt(quarter / 2),
            samples.Skip(from).Take(quarter).Select(held => held.Handles).Order().ElementAt(quarter / 2),
            samples.Skip(from).Take(quarter).Select(held => held.Threads).Order().ElementAt(quarter / 2));
        var (warm, last) = (Median(quarter), Median(samples.Count - quarter));
        if (Promise.IsLong)
        {
            Assert.True(last.Megabytes - warm.Megabytes < MaxGrowthMegabytes, $"{service} grew from {warm} to {last}");
            Assert.True(last.Handles - warm.Handles < 20, $"{service} grew from {warm} to {last}");
            Assert.True(last.Threads - warm.Threads < 20, $"{service} grew from {warm} to {last}");
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"{service} {warm.Megabytes:0} to {last.Megabytes:0} MB ({(last.Megabytes - warm.Megabytes) / (duration.TotalHours / 2):+0;-0;0} MB/h), {warm.Handles} to {last.Handles} handles, {warm.Threads} to {last.Threads} threads");
    }

    private static async Task ChatAsync(Uri gateway, Random random, ConcurrentDictionary<string, string> finished, Action next, CancellationToken enough)
    {
        using var client = new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromSeconds(5) }) { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(90) };
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!enough.IsCancellationRequested)
        {
            next();
            string? sessionId = null;
            for (var turn = random.Next(1, 4); turn > 0; turn--)
            {
                var text = string.Concat(Enumerable.Range(0, random.Next(5, 60)).Select(i => $"{i} {random.Next(1000)}. "));
                var body = Body(NewPrompt(), stream: random.Next(3) > 0, $$"""{"text":"{{text}}","token_ms":1}""", sessionId is null ? null : $"\"session_id\":\"{sessionId}\"");
                try
                {
                    var answer = body.Contains("\"stream\":true", StringComparison.Ordinal) ? await StreamedAsync(client, body) : await WholeAsync(client, body);
                    if (answer is not { } whole)
                    {
                        break;
                    }

                    (finished[whole.MessageId], sessionId) = (whole.Text, whole.SessionId);
                }
                catch (Exception exception) when (exception is HttpRequestException or IOException)
                {
                    // A restart.
                    break;
                }
            }

            await pause.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private static async Task<(string MessageId, string Text, string SessionId)?> StreamedAsync(HttpClient client, string body)
    {
        var answer = await client.StreamAsync(body);
        return answer is { IsDone: true, Cut: null } ? (answer.Headers["X-Message-Id"], answer.Content, answer.SessionId) : null;
    }

    private static async Task<(string MessageId, string Text, string SessionId)?> WholeAsync(HttpClient client, string body)
    {
        var answer = await client.PostJsonAsync(Completions, body);
        return answer.Status == System.Net.HttpStatusCode.OK
            ? (answer.Headers["X-Message-Id"], answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!, answer.SessionId)
            : null;
    }

    private sealed record Sample(Held Gateway, Held Storage, long LogBytes);

    /// <summary>What a process holds. Handles are counted on Linux only.</summary>
    private sealed record Held(double Megabytes, int Handles, int Threads)
    {
        public static Held By(int processId)
        {
            using var process = Process.GetProcessById(processId);
            var handles = $"/proc/{processId}/fd";
            return new Held(process.WorkingSet64 / 1024.0 / 1024, Directory.Exists(handles) ? Directory.EnumerateFileSystemEntries(handles).Count() : 0, process.Threads.Count);
        }
    }
}
