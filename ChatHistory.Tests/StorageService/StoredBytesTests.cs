using System.Text;
using ChatHistory.Storage.V1;
using Grpc.Core;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>How much of an owner is stored: one counter that is always the sum of the rows, whoever writes them, and a limit that many writes at once cannot pass.</summary>
public sealed class StoredBytesTests
{
    /// <summary>Users whose counter is not the sum of what their rows say. Also asked by tests of other subjects.</summary>
    internal const string WrongCounters =
        """
        SELECT user_id, stored_bytes FROM users u WHERE stored_bytes <>
            coalesce((SELECT sum(coalesce(octet_length(title), 0) + coalesce(octet_length(metadata), 0)) FROM sessions s WHERE s.user_id = u.user_id), 0)
            + coalesce((
                SELECT sum(coalesce(octet_length(m.content), 0) + coalesce(octet_length(m.content_parts), 0) + coalesce(octet_length(m.tool_calls), 0) + coalesce(octet_length(m.reasoning), 0)
                    + coalesce(octet_length(m.extra), 0) + coalesce(octet_length(m.metadata), 0) + coalesce(octet_length(m.request), 0))
                FROM sessions s JOIN messages m ON m.session_id = s.session_id WHERE s.user_id = u.user_id), 0)
        """;

    [Fact]
    public async Task Turns_AndDeletions_AreCounted()
    {
        await using var storage = await StorageFixture.StartAsync();
        var session = NewId();
        var turn = AskNew(session, "ada", Says("user", "Wie schön"));
        await storage.WriteOneAsync(turn.In());
        await storage.WriteOneAsync(turn.SoFar("Sehr").In());
        await storage.WriteOneAsync(turn.Answered("Sehr schön").In());
        var titleBytes = "New Conversation".Length;
        Assert.Equal(titleBytes + Encoding.UTF8.GetByteCount("Wie schönSehr schön"), await StoredAsync(storage, "ada"));

        await storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = Everyone, MessageId = turn.AnswerMessageId });
        Assert.Equal(titleBytes + Encoding.UTF8.GetByteCount("Wie schön"), await StoredAsync(storage, "ada"));

        await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = Everyone, SessionId = session });
        Assert.Equal(0, await StoredAsync(storage, "ada"));
    }

    [Fact]
    public async Task OtherTools_AreCounted()
    {
        await using var storage = await StorageFixture.StartAsync();
        using var database = storage.OpenAsOtherTool();
        database.Execute("INSERT INTO users (user_id) VALUES ('bob'), ('eve')");
        database.Execute("INSERT INTO sessions (session_id, user_id, title) VALUES ('s', 'bob', 'Ten chars.')");
        database.Execute("INSERT INTO messages (message_id, session_id, role, content) VALUES ('m', 's', 'user', '12345'), ('n', 's', 'assistant', 'äöü')");
        Assert.Equal(21, await StoredAsync(storage, "bob"));

        database.Execute("UPDATE messages SET content = '1', metadata = '{}' WHERE message_id = 'm'");
        Assert.Equal(19, await StoredAsync(storage, "bob"));
        database.Execute("UPDATE sessions SET user_id = 'eve' WHERE session_id = 's'");
        Assert.Equal((0L, 19L), (await StoredAsync(storage, "bob"), await StoredAsync(storage, "eve")));
        database.Execute("DELETE FROM sessions WHERE session_id = 's'");
        Assert.Equal(0, await StoredAsync(storage, "eve"));
        Assert.Empty(database.Query(WrongCounters));
    }

    [Fact]
    public async Task Limit_HoldsAgainstManyWritesAtOnce()
    {
        await using var storage = await StorageFixture.StartAsync();
        var session = NewId();
        await storage.Sessions.CreateAsync(new CreateSessionRequest { Scope = Everyone, SessionId = session, Session = new NewSession { UserId = "ada" } });
        var limited = new Scope { Owner = "ada", MaxStoredBytes = 50_000 };
        var text = new string('x', 1000);

        var results = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => storage.WriteOneAsync(Append(session, Says("user", text)).In(limited))));

        Assert.InRange(await StoredAsync(storage, "ada"), 40_000, 50_000);
        Assert.All(results.Where(result => result.Refusal is not null), result => Assert.Equal(Refusal.Types.Reason.QuotaExceeded, result.Refusal.Reason));
        Assert.Equal((await StoredAsync(storage, "ada") - 16) / 1000, results.Count(result => result.Refusal is null));
        using var database = storage.OpenAsOtherTool();
        Assert.Equal([$"{results.Count(result => result.Refusal is null)}"], database.Query($"SELECT count(*) FROM messages WHERE session_id = '{session}'"));
    }

    [Fact]
    public async Task EveryWayToWrite_IsLimited_AndDeletingIsNot()
    {
        await using var storage = await StorageFixture.StartAsync();
        var session = NewId();
        var turn = AskNew(session, "ada", Says("user", new string('x', 500)));
        await storage.WriteOneAsync(turn.In());
        await storage.WriteOneAsync(turn.Answered("y").In());
        var full = new Scope { Owner = "ada", MaxStoredBytes = 400 };

        Assert.Equal(Refusal.Types.Reason.QuotaExceeded, (await storage.WriteOneAsync(AskNew(NewId(), "ada", Says("user", "?")).In(full))).Refusal.Reason);
        Assert.Equal(Refusal.Types.Reason.QuotaExceeded, (await storage.WriteOneAsync(Ask(session, Says("user", "?")).In(full))).Refusal.Reason);
        Assert.Equal(Refusal.Types.Reason.QuotaExceeded, (await storage.WriteOneAsync(Append(session, Says("user", "?")).In(full))).Refusal.Reason);
        foreach (var write in new Func<Task>[]
        {
            async () => await storage.Sessions.CreateAsync(new CreateSessionRequest { Scope = full, SessionId = NewId(), Session = new NewSession { UserId = "ada" } }),
            async () => await storage.Sessions.ForkAsync(new ForkSessionRequest { Scope = full, SessionId = session, NewSessionId = NewId() }),
            async () => await storage.Sessions.UpdateAsync(new UpdateSessionRequest { Scope = full, SessionId = session, Title = "t" }),
            async () => await storage.Messages.UpdateMetadataAsync(new UpdateMessageMetadataRequest { Scope = full, MessageId = turn.AnswerMessageId, Metadata = "{}" }),
        })
        {
            Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(write)).StatusCode);
        }

        // A turn that was begun ends, and what is deleted gives its bytes back.
        Assert.Null((await storage.WriteOneAsync(turn.Answered("y").In(full))).Refusal);
        await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = full, SessionId = session });
        Assert.Equal(0, await StoredAsync(storage, "ada"));
        Assert.Null((await storage.WriteOneAsync(AskNew(NewId(), "ada", Says("user", "?")).In(full))).Refusal);
    }

    [Fact]
    public async Task Usage_AddsUpOverSources_AndNothingTwice()
    {
        await using var storage = await StorageFixture.StartAsync();
        UsageTotal Total(string day, string source, long tokens) => new() { Subject = "k", Day = day, Source = source, Tokens = tokens, Requests = 1 };
        var report = new ReportUsageRequest { Totals = { Total("2026-05-02", "a", 10), Total("2026-05-31", "a", 5), Total("2026-05-02", "b", 7), Total("2026-04-30", "a", 1000) } };
        await storage.ApiKeys.ReportUsageAsync(report);
        await storage.ApiKeys.ReportUsageAsync(report);
        // An older report that comes late.
        await storage.ApiKeys.ReportUsageAsync(new ReportUsageRequest { Totals = { Total("2026-05-02", "a", 3) } });

        var all = await storage.ApiKeys.GetUsageAsync(new GetUsageRequest { Subject = "k", Day = "2026-05-02" });
        var others = await storage.ApiKeys.GetUsageAsync(new GetUsageRequest { Subject = "k", Day = "2026-05-02", ExceptSource = "a" });
        var nobody = await storage.ApiKeys.GetUsageAsync(new GetUsageRequest { Subject = "l", Day = "2026-05-02", UserId = "nobody" });

        Assert.Equal(new Usage { TokensOfDay = 17, TokensOfMonth = 22, RequestsOfDay = 2 }, all);
        Assert.Equal(new Usage { TokensOfDay = 7, TokensOfMonth = 7, RequestsOfDay = 1 }, others);
        Assert.Equal(new Usage(), nobody);
    }

    private static async Task<long> StoredAsync(StorageFixture storage, string userId) =>
        (await storage.ApiKeys.GetUsageAsync(new GetUsageRequest { Subject = "k", UserId = userId, Day = "2026-05-02" })).StoredBytes;
}
