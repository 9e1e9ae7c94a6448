using System.Collections.Concurrent;
using System.Globalization;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>What a client was told is finished is there, whatever is killed, and whenever.</summary>
public sealed class DurabilityTests(ITestOutputHelper output)
{
    private const int Clients = 20;

    // The longer form is run by hand: CHATHISTORY_KILLS=200.
    private static readonly int s_kills = int.Parse(Environment.GetEnvironmentVariable("CHATHISTORY_KILLS") ?? "10", CultureInfo.InvariantCulture);

    [Fact]
    public async Task FinishedAnswers_SurviveKills()
    {
        var seed = int.Parse(Environment.GetEnvironmentVariable("CHATHISTORY_SEED") ?? Random.Shared.Next().ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        output.WriteLine($"CHATHISTORY_SEED={seed}");
        var random = new Random(seed);
        var ledger = new Ledger();
        await using var system = await RunningSystem.StartAsync(settings: ("Turns__AbandonedAfter", "00:00:03"));
        using (var enough = new CancellationTokenSource())
        {
            var clients = Enumerable.Range(0, Clients).Select(i => ChatAsync(system.Client.BaseAddress!, ledger, new Random(seed + i), enough.Token)).ToArray();
            for (var kill = 0; kill < s_kills; kill++)
            {
                // Not to wait for anything: the moment of the kill is what is tried out.
                await Task.Delay(random.Next(800));
                var victim = random.Next(2) == 0 ? system.Storage : system.Gateway;
                await victim.KillAsync();
                await Task.Delay(random.Next(300));
                await victim.RestartAsync();
                await system.WaitUntilHealthyAsync();
            }

            await enough.CancelAsync();
            await Task.WhenAll(clients).WaitAsync(TimeSpan.FromSeconds(90));
        }

        using (var database = OtherTool.Open(system.DatabasePath))
        {
            await Eventually.GetAsync(
                () => Task.FromResult(database.Query("SELECT count(*) FROM messages WHERE status = 'in_progress'").Single()), count => count == "0");
        }

        Assert.Equal(0, await system.Gateway.StopAsync());
        Assert.Equal(0, await system.Storage.StopAsync());
        ledger.Check(system.DatabasePath);
        output.WriteLine($"{s_kills} kills, {ledger.Texts.Count} turns asked for, {ledger.Finished.Count} seen finished");
    }

    /// <summary>Asks turn after turn, now and then in the same session, and notes what it was told.</summary>
    private static async Task ChatAsync(Uri gateway, Ledger ledger, Random random, CancellationToken enough)
    {
        // A connection per request: a pooled one may have died with its gateway, and HttpClient would send the request again by itself.
        using var client = new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero }) { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(90) };
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        string? sessionId = null;
        while (!enough.IsCancellationRequested)
        {
            var prompt = NewPrompt();
            var text = ledger.Texts[prompt] = string.Concat(Enumerable.Range(0, random.Next(5, 30)).Select(i => $"{i} 字 é {random.Next(1000)}. "));
            var stream = random.Next(3) > 0;
            var body = Body(prompt, stream, $$"""{"text":"{{text}}","token_ms":5}""", sessionId is null ? null : $"\"session_id\":\"{sessionId}\"");
            try
            {
                sessionId = stream ? await StreamedAsync(client, body, ledger) : await WholeAsync(client, body, ledger);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException)
            {
                // The gateway was killed.
                sessionId = null;
                await pause.WaitForNextTickAsync(CancellationToken.None);
            }

            sessionId = random.Next(2) == 0 ? sessionId : null;
        }
    }

    private static async Task<string?> StreamedAsync(HttpClient client, string body, Ledger ledger)
    {
        var answer = await client.StreamAsync(body);
        if (answer is { IsDone: true, Cut: null })
        {
            ledger.Finished[answer.Headers["X-Message-Id"]] = answer.Content;
            return answer.SessionId;
        }

        return null;
    }

    private static async Task<string?> WholeAsync(HttpClient client, string body, Ledger ledger)
    {
        var answer = await client.PostJsonAsync(Completions, body);
        if (answer.Status == System.Net.HttpStatusCode.OK)
        {
            ledger.Finished[answer.Headers["X-Message-Id"]] = answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
            return answer.SessionId;
        }

        return null;
    }

    /// <summary>What was asked for and what clients saw, to be compared with the database.</summary>
    private sealed class Ledger
    {
        /// <summary>The answer that the model gives to each prompt.</summary>
        public ConcurrentDictionary<string, string> Texts { get; } = new();

        /// <summary>Text of the answers that a client saw finished, by message id.</summary>
        public ConcurrentDictionary<string, string> Finished { get; } = new();

        public void Check(string databasePath)
        {
            using var database = OtherTool.Open(databasePath);
            Assert.Equal(["ok"], database.Query("PRAGMA integrity_check"));
            Assert.Empty(database.Query("PRAGMA foreign_key_check"));
            Assert.Empty(database.Query("SELECT content FROM messages WHERE role = 'user' GROUP BY content HAVING count(*) > 1"));

            var answers = database.Query("SELECT a.message_id, a.status, u.content, a.content FROM messages a JOIN messages u ON u.message_id = a.parent_id WHERE a.role = 'assistant'")
                .Select(row => row.Split('|'))
                .ToDictionary(row => row[0], row => (Status: row[1], Prompt: row[2], Content: row[3]));
            Assert.NotEmpty(Finished);
            Assert.All(Finished, finished => Assert.Equal(("completed", finished.Value), (answers[finished.Key].Status, answers[finished.Key].Content)));
            Assert.All(answers.Values, answer => Assert.StartsWith(answer.Content, Texts[answer.Prompt], StringComparison.Ordinal));
            Assert.All(answers.Values.Where(answer => answer.Status == "completed"), answer => Assert.Equal(Texts[answer.Prompt], answer.Content));
            Assert.Empty(answers.Values.Select(answer => answer.Status).Except(["completed", "cancelled", "failed", "interrupted"]));
        }
    }
}
