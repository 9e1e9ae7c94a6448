using System.Collections.Concurrent;
using System.Diagnostics;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Grpc.Core;
using Xunit.Abstractions;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.Promises;

/// <summary>R1: the storage service is killed at random moments. Nothing that was acknowledged is lost or doubled, and it is soon back.</summary>
[Trait(Promise.Trait, "R1")]
public sealed class KilledStorageTests(ITestOutputHelper output)
{
    [Fact]
    public async Task UnderConcurrentChats_LosesNothing()
    {
        var promise = new Promise("R1", output);
        var random = new Random(promise.Seed);
        var (kills, clients) = (Promise.Size(2, 200), Promise.Size(20, 50));
        await using var system = await RunningSystem.StartAsync(settings: ("Turns__AbandonedAfter", "00:00:03"));
        var load = new ChatLoad(system, promise.Seed);
        var slowest = TimeSpan.Zero;
        using (var enough = new CancellationTokenSource())
        {
            var chats = load.RunAsync(clients, words: 30, enough.Token);
            for (var kill = 0; kill < kills; kill++)
            {
                // Not to wait for anything: the moment of the kill is what is tried out.
                await Task.Delay(random.Next(800));
                await system.Storage.KillAsync();
                ChatLoad.CheckFileOf(system);
                slowest = Max(slowest, await ReadyAsync(system.Storage));
            }

            await enough.CancelAsync();
            await chats.WaitAsync(TimeSpan.FromSeconds(90));
        }

        await load.CheckAsync();
        promise.Figure($"{kills} kills under {clients} chats: {load.Asked} turns asked for, {load.Finished} seen finished, 0 of these lost, 0 doubled; ready again after {slowest.TotalSeconds:0.0} s at most");
    }

    [Fact]
    public async Task UnderDirectWrites_LosesNothing()
    {
        var promise = new Promise("R1", output);
        var random = new Random(promise.Seed);
        var kills = Promise.Size(2, 200);
        using var folder = new TemporaryFolder();
        var begun = new ConcurrentDictionary<string, string>();
        var completed = new ConcurrentDictionary<string, string>();
        await using (var service = await DatabaseStartTests.StartProcessAsync(folder))
        {
            for (var kill = 0; kill < kills; kill++)
            {
                await DatabaseStartTests.WaitUntilHealthyAsync(service);
                using var client = new StorageClient(service.Addresses[0]);
                var firstTurn = new TaskCompletionSource();
                var load = Enumerable.Range(0, 16).Select(i => AskUntilKilledAsync(client, begun, completed, firstTurn)).ToArray();
                await firstTurn.Task.WaitAsync(TimeSpan.FromSeconds(30));
                await Task.Delay(random.Next(300));

                await service.KillAsync();

                await Task.WhenAll(load);
                await service.RestartAsync();
            }

            await DatabaseStartTests.WaitUntilHealthyAsync(service);
            await service.StopAsync();
        }

        Check(folder.DatabasePath, begun, completed);
        promise.Figure($"{kills} kills under 16 writers without a gateway: {begun.Count} turns begun, {completed.Count} completed, 0 lost");
    }

    [Fact]
    public async Task OfALargeFile_IsSoonReadyAgain()
    {
        var promise = new Promise("R1", output);
        var megabytes = Promise.Size(100, 1024);
        using var folder = new TemporaryFolder();
        await using var service = await DatabaseStartTests.StartProcessAsync(folder);
        await DatabaseStartTests.WaitUntilHealthyAsync(service);
        await service.StopAsync();
        Fill(folder.DatabasePath, megabytes);
        var times = new List<TimeSpan>();
        for (var kill = 0; kill < Promise.Size(1, 10); kill++)
        {
            times.Add(await ReadyAsync(service));
            using var client = new StorageClient(service.Addresses[0]);
            var firstTurn = new TaskCompletionSource();
            var load = Enumerable.Range(0, 16).Select(i => AskUntilKilledAsync(client, new(), new(), firstTurn)).ToArray();
            await firstTurn.Task.WaitAsync(TimeSpan.FromSeconds(30));
            await Task.Delay(500);
            await service.KillAsync();
            await Task.WhenAll(load);
        }

        times.Add(await ReadyAsync(service));

        Assert.True(new FileInfo(folder.DatabasePath).Length > megabytes * 1_000_000L);
        // The machine that runs all tests at once may be slow to start any process.
        Assert.All(times, time => Assert.InRange(time, TimeSpan.Zero, TimeSpan.FromSeconds(Promise.Size(15, 3))));
        promise.Figure($"a file of {new FileInfo(folder.DatabasePath).Length / 1_000_000} MB, killed while it was written: ready after {times.Max().TotalSeconds:0.0} s at most, process start included");
    }

    private static async Task<TimeSpan> ReadyAsync(ServiceProcess service)
    {
        var began = Stopwatch.GetTimestamp();
        await service.RestartAsync();
        await DatabaseStartTests.WaitUntilHealthyAsync(service);
        return Stopwatch.GetElapsedTime(began);
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private static void Fill(string databasePath, int megabytes)
    {
        using var database = OtherTool.Open(databasePath);
        database.Execute("PRAGMA synchronous = OFF");
        database.Execute(
            $"""
            INSERT INTO sessions (session_id, user_id, title, created_at, updated_at) VALUES ('large', (SELECT user_id FROM users LIMIT 1), 'large', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {megabytes * 250})
            INSERT INTO messages (message_id, session_id, role, content, seq) SELECT 'large-' || i, 'large', 'user', hex(randomblob(2000)), i FROM n;
            """);
    }

    /// <summary>Asks turn after turn, two in each session, and notes each acknowledgement; ends when the service is gone.</summary>
    private static async Task AskUntilKilledAsync(
        StorageClient client, ConcurrentDictionary<string, string> begun, ConcurrentDictionary<string, string> completed, TaskCompletionSource firstTurn)
    {
        try
        {
            while (true)
            {
                var first = AskNew(NewId(), "alice", Says("user", NewId()));
                var second = Ask(first.SessionId, Says("user", NewId()));
                foreach (var turn in new[] { first, second })
                {
                    Assert.NotNull((await client.WriteAsync(turn.In()))[0].TurnBegun);
                    begun[turn.Input[0].MessageId] = turn.Input[0].Content.Content;
                    await client.WriteAsync(turn.SoFar("so far").In());
                    var answer = NewId();
                    Assert.NotNull((await client.WriteAsync(turn.Answered(answer).In()))[0].TurnCompleted);
                    completed[turn.AnswerMessageId] = answer;
                    firstTurn.TrySetResult();
                }
            }
        }
        catch (RpcException)
        {
            // Killed.
        }
    }

    private static void Check(string databasePath, ConcurrentDictionary<string, string> begun, ConcurrentDictionary<string, string> completed)
    {
        using var database = OtherTool.Open(databasePath);
        var rows = database.Query("SELECT message_id, content, status FROM messages")
            .Select(row => row.Split('|'))
            .ToDictionary(row => row[0], row => (Content: row[1], Status: row[2]));

        Assert.All(begun, turn => Assert.Equal((turn.Value, "completed"), rows[turn.Key]));
        Assert.All(completed, turn => Assert.Equal((turn.Value, "completed"), rows[turn.Key]));
        Assert.DoesNotContain(rows.Values, row => row.Status == "in_progress");
        database.AssertSound();
        Assert.Empty(database.Query(
            """
            SELECT s.session_id FROM sessions s LEFT JOIN messages m USING (session_id) GROUP BY s.session_id
            HAVING count(m.seq) <> s.message_count OR count(m.seq) <> s.last_seq OR coalesce(max(m.seq), 0) <> s.last_seq
            """));
        Assert.Empty(database.Query("SELECT user_id FROM users u WHERE session_count <> (SELECT count(*) FROM sessions s WHERE s.user_id = u.user_id)"));
    }
}
