using System.Collections.Concurrent;
using System.Globalization;
using Grpc.Core;
using Xunit.Abstractions;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>What the service acknowledged is there after SIGKILL, whenever it comes.</summary>
public sealed class KilledProcessTests(ITestOutputHelper output)
{
    private const int Clients = 16;

    // The longer form is run by hand: CHATHISTORY_KILLS=200.
    private static readonly int s_kills = int.Parse(Environment.GetEnvironmentVariable("CHATHISTORY_KILLS") ?? "4", CultureInfo.InvariantCulture);

    [Fact]
    public async Task EverythingAcknowledged_SurvivesKills()
    {
        var seed = int.Parse(Environment.GetEnvironmentVariable("CHATHISTORY_SEED") ?? Random.Shared.Next().ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        output.WriteLine($"CHATHISTORY_SEED={seed}");
        var random = new Random(seed);
        using var folder = new TemporaryFolder();
        var begun = new ConcurrentDictionary<string, string>();
        var completed = new ConcurrentDictionary<string, string>();
        var service = await DatabaseStartTests.StartProcessAsync(folder);
        await using (service)
        {
            for (var kill = 0; kill < s_kills; kill++)
            {
                await DatabaseStartTests.WaitUntilHealthyAsync(service);
                using var client = new StorageClient(service.Addresses[0]);
                var firstTurn = new TaskCompletionSource();
                var load = Enumerable.Range(0, Clients).Select(i => AskUntilKilledAsync(client, begun, completed, firstTurn)).ToArray();
                await firstTurn.Task.WaitAsync(TimeSpan.FromSeconds(30));
                // Not to wait for anything: the moment of the kill is what is tried out.
                await Task.Delay(random.Next(300));

                await service.KillAsync();

                await Task.WhenAll(load);
                await service.RestartAsync();
            }

            await DatabaseStartTests.WaitUntilHealthyAsync(service);
            Assert.Equal(0, await service.StopAsync());
        }

        Check(folder.DatabasePath, begun, completed);
        output.WriteLine($"{s_kills} kills, {begun.Count} turns begun, {completed.Count} completed");
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
        Assert.Equal(["ok"], database.Query("PRAGMA integrity_check"));
        Assert.Empty(database.Query("PRAGMA foreign_key_check"));
        Assert.Empty(database.Query(
            """
            SELECT s.session_id FROM sessions s LEFT JOIN messages m USING (session_id) GROUP BY s.session_id
            HAVING count(m.seq) <> s.message_count OR count(m.seq) <> s.last_seq OR coalesce(max(m.seq), 0) <> s.last_seq
            """));
        Assert.Empty(database.Query("SELECT user_id FROM users u WHERE session_count <> (SELECT count(*) FROM sessions s WHERE s.user_id = u.user_id)"));
    }
}
