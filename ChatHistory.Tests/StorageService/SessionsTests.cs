using ChatHistory.Storage.V1;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

public sealed class SessionsTests
{
    [Fact]
    public async Task Session_IsCreatedOnce()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 31, 23, 59, 59, 123, TimeSpan.Zero));
        await using var storage = await StorageFixture.StartAsync(time: time);
        var request = new CreateSessionRequest
        {
            Scope = Owner("alice"),
            SessionId = NewId(),
            Session = new NewSession { UserId = "alice", Title = "T", Metadata = """{"a":1}""" },
        };

        var created = await storage.Sessions.CreateAsync(request);
        time.Advance(TimeSpan.FromMinutes(1));
        request.Session.Title = "Other";
        var again = await storage.Sessions.CreateAsync(request);

        Assert.Equal(("alice", "T", """{"a":1}""", true, 0L), (created.UserId, created.Title, created.Metadata, created.IsActive, created.MessageCount));
        Assert.Equal(new DateTimeOffset(2026, 1, 31, 23, 59, 59, 123, TimeSpan.Zero), created.CreatedAt.ToDateTimeOffset());
        Assert.Equal(created, again);
    }

    [Fact]
    public async Task Update_ChangesWhatIsGiven()
    {
        await using var storage = await StorageFixture.StartAsync();
        var before = await storage.GetSessionAsync("session_001");

        var renamed = await storage.Sessions.UpdateAsync(new UpdateSessionRequest { Scope = Everyone, SessionId = "session_001", Title = "" });
        var closed = await storage.Sessions.UpdateAsync(
            new UpdateSessionRequest { Scope = Owner("default_user"), SessionId = "session_001", IsActive = false, Metadata = "{}" });

        Assert.Equal(("", true, before.UpdatedAt), (renamed.Title, renamed.IsActive, renamed.UpdatedAt));
        Assert.Equal(("", false, "{}"), (closed.Title, closed.IsActive, closed.Metadata));
    }

    [Fact]
    public async Task WhatIsNotThere_AndWhatIsSomebodyElses_AreTheSameAnswer()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("user", "secret"));
        await storage.WriteOneAsync(turn.In());
        var scope = Owner("mallory");

        List<RpcException> answers = [];
        foreach (var id in new[] { turn.SessionId, NewId() })
        {
            answers.Add(await Assert.ThrowsAsync<RpcException>(async () => await storage.Sessions.GetAsync(new GetSessionRequest { Scope = scope, SessionId = id })));
            answers.Add(await Assert.ThrowsAsync<RpcException>(async () => await storage.Sessions.UpdateAsync(new UpdateSessionRequest { Scope = scope, SessionId = id, Title = "x" })));
            answers.Add(await Assert.ThrowsAsync<RpcException>(async () => await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = scope, SessionId = id })));
            answers.Add(await Assert.ThrowsAsync<RpcException>(async () => await storage.Sessions.ListMessagesAsync(new ListMessagesRequest { Scope = scope, SessionId = id })));
            answers.Add(await Assert.ThrowsAsync<RpcException>(async () => await storage.Sessions.GetTranscriptAsync(new GetTranscriptRequest { Scope = scope, SessionId = id })));
        }

        var taken = await Assert.ThrowsAsync<RpcException>(async () => await storage.Sessions.CreateAsync(
            new CreateSessionRequest { Scope = scope, SessionId = turn.SessionId, Session = new NewSession { UserId = "mallory" } }));
        var list = await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = scope, UserId = "alice" });

        Assert.All(answers.Append(taken), answer => Assert.Equal((StatusCode.NotFound, "No such session."), (answer.StatusCode, answer.Status.Detail)));
        Assert.Equal(new ListSessionsReply(), list);
        Assert.Equal("secret", (await storage.ListAsync(turn.SessionId, "alice"))[0].Content.Content);
    }

    [Fact]
    public async Task Pages_ByCursor_MissNothingAndRepeatNothing()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        await using var storage = await StorageFixture.StartAsync(time: time);
        List<string> newestFirst = [];
        for (var i = 0; i < 25; i++)
        {
            // Several share a time, and some were written by other tools, with other texts for it.
            time.Advance(TimeSpan.FromMilliseconds(i % 3 == 0 ? 1000 : 0));
            var id = $"s{i:00}";
            await storage.WriteOneAsync(AskNew(id, "alice", Says("user", "x")).In());
            newestFirst.Add(id);
        }

        using (var database = storage.OpenAsOtherTool())
        {
            database.Execute("INSERT INTO sessions (session_id, user_id, updated_at) VALUES ('z1', 'alice', '2026-01-01 00:00:04'), ('z2', 'alice', '2026-01-01 00:00:04'), ('z3', 'alice', '2026-01-01T00:00:09.123456Z')");
            newestFirst = database.Query("SELECT session_id FROM sessions WHERE user_id = 'alice' ORDER BY updated_at DESC, session_id DESC");
        }

        foreach (var limit in new[] { 1, 4, 28, 50 })
        {
            List<string> read = [];
            var after = "";
            do
            {
                var page = await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Owner("alice"), Limit = limit, After = after });
                Assert.Equal(28, page.Total);
                Assert.True(page.Sessions.Count <= limit);
                read.AddRange(page.Sessions.Select(session => session.SessionId));
                after = page.Next;
            }
            while (after.Length > 0);

            Assert.Equal(newestFirst, read);
        }

        var byOffset = await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Everyone, UserId = "alice", Limit = 5, Offset = 7 });
        Assert.Equal(newestFirst.Skip(7).Take(5), byOffset.Sessions.Select(session => session.SessionId));
        var everyones = await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Everyone });
        Assert.Equal((29L, 29), (everyones.Total, everyones.Sessions.Count));
    }

    [Theory]
    [InlineData("x")]
    [InlineData("not base64!")]
    [InlineData("MnxhfGI")]
    [InlineData("MXxh")]
    [InlineData("' OR 1=1 --")]
    public async Task ForgedCursor_IsRefused(string cursor)
    {
        await using var storage = await StorageFixture.StartAsync();

        var refused = await Assert.ThrowsAsync<RpcException>(
            async () => await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Everyone, After = cursor }));

        Assert.Equal((StatusCode.InvalidArgument, "after is not a cursor of this service."), (refused.StatusCode, refused.Status.Detail));
    }

    [Fact]
    public async Task CursorOfSomebodyElse_ShowsOnlyOnesOwn()
    {
        await using var storage = await StorageFixture.StartAsync();
        foreach (var (id, user) in new[] { ("a1", "alice"), ("a2", "alice"), ("b1", "bob") })
        {
            await storage.WriteOneAsync(AskNew(id, user, Says("user", "x")).In());
        }

        var alices = await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Owner("alice"), Limit = 1 });
        var bobs = await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Owner("bob"), After = alices.Next });

        Assert.All(bobs.Sessions, session => Assert.Equal("bob", session.UserId));
    }

    [Fact]
    public async Task Messages_ArePagedByOffsetAndBySeq()
    {
        await using var storage = await StorageFixture.StartAsync();
        await storage.WriteAsync([.. Enumerable.Range(1, 10).Select(i => Append("session_001", Says("user", $"{i}")).In())]);

        Assert.Equal("1 2 3|True", await PageAsync(new ListMessagesRequest { Limit = 3 }));
        Assert.Equal("9 10|False", await PageAsync(new ListMessagesRequest { Limit = 3, Offset = 8 }));
        Assert.Equal("|False", await PageAsync(new ListMessagesRequest { Limit = 3, Offset = 10 }));
        Assert.Equal("5 6|True", await PageAsync(new ListMessagesRequest { Limit = 2, AfterSeq = 4, Offset = 1 }));
        Assert.Equal("10 9|True", await PageAsync(new ListMessagesRequest { Limit = 2, Descending = true }));
        Assert.Equal("2 1|False", await PageAsync(new ListMessagesRequest { Limit = 3, Descending = true, Offset = 8 }));
        Assert.Equal("2 1|False", await PageAsync(new ListMessagesRequest { Limit = 3, Descending = true, AfterSeq = 3 }));

        using (var database = storage.OpenAsOtherTool())
        {
            database.Execute("DELETE FROM messages WHERE content IN ('2', '5')");
        }

        Assert.Equal("1 3 4|True", await PageAsync(new ListMessagesRequest { Limit = 3 }));
        Assert.Equal("6 7|True", await PageAsync(new ListMessagesRequest { Limit = 2, Offset = 3 }));
        Assert.Equal("7 6|True", await PageAsync(new ListMessagesRequest { Limit = 2, Descending = true, Offset = 3 }));
        Assert.Equal("|False", await PageAsync(new ListMessagesRequest { Limit = 2, Offset = 8 }));

        async Task<string> PageAsync(ListMessagesRequest request)
        {
            request.Scope = Everyone;
            request.SessionId = "session_001";
            var page = await storage.Sessions.ListMessagesAsync(request);
            Assert.Equal(page.Session.MessageCount, page.Total);
            return $"{string.Join(' ', page.Messages.Select(message => message.Content.Content))}|{page.HasMore}";
        }
    }

    [Fact]
    public async Task InvalidArguments_NameTheField()
    {
        await using var storage = await StorageFixture.StartAsync();

        Assert.Equal("scope must name an owner, or everyone.", await DetailAsync(new ListSessionsRequest()));
        Assert.Equal("limit must not be negative.", await DetailAsync(new ListSessionsRequest { Scope = Everyone, Limit = -1 }));
        Assert.Equal("offset must not be negative.", await DetailAsync(new ListSessionsRequest { Scope = Everyone, Offset = -1 }));

        async Task<string> DetailAsync(ListSessionsRequest request)
        {
            var refused = await Assert.ThrowsAsync<RpcException>(async () => await storage.Sessions.ListAsync(request));
            Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
            return refused.Status.Detail;
        }
    }

    [Fact]
    public async Task Deleted_IsGoneFromTheFilesToo()
    {
        const string Secret = "a secret that must be gone 8f1c";
        using var folder = new TemporaryFolder();
        await using (var storage = await StorageFixture.StartAsync(folder.DatabasePath))
        {
            var turn = AskNew(NewId(), "alice", Says("user", Secret));
            await storage.WriteAsync(turn.In(), turn.Answered(Secret).In());

            await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = Owner("alice"), SessionId = turn.SessionId });

            Assert.Equal(0, (await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Owner("alice") })).Total);
        }

        foreach (var path in Directory.GetFiles(folder.Path))
        {
            Assert.DoesNotContain(Secret, System.Text.Encoding.Latin1.GetString(await File.ReadAllBytesAsync(path)), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ReadHistory_StreamsSessionsWithTheirMessages()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var storage = await StorageFixture.StartAsync(time: time);
        foreach (var (id, count) in new[] { ("s1", 1), ("s2", 450), ("s3", 0) })
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await storage.Sessions.CreateAsync(new CreateSessionRequest { Scope = Everyone, SessionId = id, Session = new NewSession { UserId = "alice" } });
            await storage.WriteAsync([.. Enumerable.Range(1, count).Select(i => Append(id, Says("user", $"{id} {i}")).In())]);
        }

        List<string> items = [];
        using var call = storage.Sessions.ReadHistory(new ReadHistoryRequest { Scope = Owner("alice"), UserId = "alice", Limit = 2 });
        await foreach (var item in call.ResponseStream.ReadAllAsync())
        {
            items.Add(item.ItemCase switch
            {
                HistoryItem.ItemOneofCase.Page => $"total {item.Page.Total}, more {item.Page.Next.Length > 0}",
                HistoryItem.ItemOneofCase.Session => item.Session.SessionId,
                _ => item.Message.Content.Content,
            });
        }

        Assert.Equal(["total 3, more True", "s3", "s2", .. Enumerable.Range(1, 450).Select(i => $"s2 {i}")], items);
    }
}
