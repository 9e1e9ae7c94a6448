using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Microsoft.Data.Sqlite;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>Clients that chat while services are killed, and what they were told, to be compared with the database.</summary>
internal sealed class ChatLoad(RunningSystem system, int seed)
{
    /// <summary>The answer that the model gives to each prompt.</summary>
    private readonly ConcurrentDictionary<string, string> _texts = new();

    /// <summary>Text of the answers that a client saw finished, by message id.</summary>
    private readonly ConcurrentDictionary<string, string> _finished = new();

    /// <summary>What came of the streams that broke: by message id, all text with the time at which it had come.</summary>
    private readonly ConcurrentDictionary<string, IReadOnlyList<(long At, int Length)>> _broken = new();

    public int Asked => _texts.Count;

    public int Finished => _finished.Count;

    /// <summary>Asks turn after turn, now and then in the same session, and notes what it was told.</summary>
    /// <param name="words">Of an answer, at most; each is about three tokens of 5 ms.</param>
    public Task RunAsync(int clients, int words, CancellationToken enough) =>
        Task.WhenAll(Enumerable.Range(0, clients).Select(i => ChatAsync(new Random(seed + i), words, enough)));

    /// <summary>
    /// Looks at a copy of the files as they are now, after a kill: the copy is recovered, and the original is left to the service.
    /// </summary>
    public static void CheckFileOf(RunningSystem system)
    {
        using var folder = new TemporaryFolder();
        foreach (var suffix in new[] { "", "-wal" }.Where(suffix => File.Exists(system.DatabasePath + suffix)))
        {
            File.Copy(system.DatabasePath + suffix, folder.DatabasePath + suffix);
        }

        using var database = OtherTool.Open(folder.DatabasePath);
        CheckFile(database);
    }

    /// <summary>Looks at the file while the storage service writes to it. (A copy of it would be of two moments: the log may begin anew in between.)</summary>
    public static void CheckLiveFileOf(RunningSystem system)
    {
        using var database = OtherTool.Open(system.DatabasePath);
        CheckFile(database);
    }

    /// <summary>Waits until no turn is in progress any more, stops the services, and compares.</summary>
    /// <param name="broken">Checked for each stream that broke: what the client had of it, and the length of what is stored.</param>
    public async Task CheckAsync(Action<IReadOnlyList<(long At, int Length)>, int>? broken = null)
    {
        using (var database = OtherTool.Open(system.DatabasePath))
        {
            await Eventually.GetAsync(
                () => Task.FromResult(database.Query("SELECT count(*) FROM messages WHERE status = 'in_progress'").Single()), count => count == "0");
        }

        await system.Gateway.StopAsync();
        await system.Storage.StopAsync();
        using var stored = OtherTool.Open(system.DatabasePath);
        CheckFile(stored);
        Assert.Empty(stored.Query("SELECT content FROM messages WHERE role = 'user' GROUP BY content HAVING count(*) > 1"));
        var answers = stored.Query("SELECT a.message_id, a.status, u.content, a.content FROM messages a JOIN messages u ON u.message_id = a.parent_id WHERE a.role = 'assistant' AND u.content LIKE 'prompt %'")
            .Select(row => row.Split('|'))
            .ToDictionary(row => row[0], row => (Status: row[1], Prompt: row[2], Content: row[3]));
        Assert.NotEmpty(_finished);
        Assert.All(_finished, finished => Assert.Equal(("completed", finished.Value), (answers[finished.Key].Status, answers[finished.Key].Content)));
        Assert.All(answers.Values, answer => Assert.StartsWith(answer.Content, _texts[answer.Prompt], StringComparison.Ordinal));
        Assert.All(answers.Values.Where(answer => answer.Status == "completed"), answer => Assert.Equal(_texts[answer.Prompt], answer.Content));
        Assert.Empty(answers.Values.Select(answer => answer.Status).Except(["completed", "cancelled", "failed", "interrupted"]));
        foreach (var (messageId, arrived) in _broken)
        {
            broken?.Invoke(arrived, answers[messageId].Content.Length);
        }
    }

    private static void CheckFile(SqliteConnection database)
    {
        database.AssertSound();
        Assert.Empty(database.Query("SELECT session_id FROM messages GROUP BY session_id, seq HAVING count(*) > 1"));
    }

    private async Task ChatAsync(Random random, int words, CancellationToken enough)
    {
        // A connection per request: a pooled one may have died with its gateway, and HttpClient would send the request again by itself.
        using var client = new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero })
        {
            BaseAddress = system.Client.BaseAddress, Timeout = TimeSpan.FromSeconds(90),
        };
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        string? sessionId = null;
        while (!enough.IsCancellationRequested)
        {
            var prompt = NewPrompt();
            var text = _texts[prompt] = string.Concat(Enumerable.Range(0, random.Next(5, words)).Select(i => $"{i} 字 é {random.Next(1000)}. "));
            var stream = random.Next(3) > 0;
            var body = Body(prompt, stream, $$"""{"text":"{{text}}","token_ms":5}""", sessionId is null ? null : $"\"session_id\":\"{sessionId}\"");
            try
            {
                sessionId = stream ? await StreamedAsync(client, body) : await WholeAsync(client, body);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or SocketException)
            {
                // The gateway was killed. Between its accepting and the client's looking at the connection, HttpClient lets the socket's own exception out.
                sessionId = null;
                await pause.WaitForNextTickAsync(CancellationToken.None);
            }

            sessionId = random.Next(2) == 0 ? sessionId : null;
        }
    }

    private async Task<string?> StreamedAsync(HttpClient client, string body)
    {
        var arrived = new List<(long At, int Length)>();
        var answer = await client.StreamAsync(body, text => arrived.Add((Stopwatch.GetTimestamp(), StreamedAnswer.ContentOf(text).Length)));
        if (answer is { IsDone: true, Cut: null })
        {
            _finished[answer.Headers["X-Message-Id"]] = answer.Content;
            return answer.SessionId;
        }

        if (answer.Cut is not null && answer.Headers.TryGetValue("X-Message-Id", out var messageId))
        {
            _broken[messageId] = arrived;
        }

        return null;
    }

    private async Task<string?> WholeAsync(HttpClient client, string body)
    {
        var answer = await client.PostJsonAsync(Completions, body);
        if (answer.Status == System.Net.HttpStatusCode.OK)
        {
            _finished[answer.Headers["X-Message-Id"]] = answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
            return answer.SessionId;
        }

        return null;
    }
}
