using ChatHistory.Storage.V1;
using Grpc.Core;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>Forks, heads, paths and deleted messages, one by one; <see cref="BranchModelTests"/> mixes them.</summary>
public sealed class BranchesTests
{
    [Fact]
    public async Task Fork_ShowsThePathAndGoesItsOwnWay()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2", "3", "4");

        var fork = await storage.ForkAsync("session_001", "f", ids[1]);
        await storage.AppendAllAsync("f", "b3", "b4");
        await storage.AppendAllAsync("session_001", "5");

        Assert.Equal(("default_user", "First Conversation", 2L, ids[1], ids[1]), (fork.UserId, fork.Title, fork.MessageCount, fork.HeadMessageId, fork.ForkedFrom));
        Assert.Equal("1 2 b3 b4", await storage.ListedAsync("f"));
        Assert.Equal("1 2 3 4 5", await storage.ListedAsync("session_001"));
        Assert.Equal(["user: 1", "user: 2", "user: b3", "user: b4"], await storage.TranscriptAsync("f"));
        Assert.Equal(4, (await storage.GetSessionAsync("f")).MessageCount);
    }

    [Fact]
    public async Task Fork_SentAgain_IsTheSame()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2");
        var first = await storage.ForkAsync("session_001", "f", ids[0]);
        await storage.AppendAllAsync("f", "b2");

        var again = await storage.ForkAsync("session_001", "f", ids[1]);

        Assert.Equal((first.ForkedFrom, 2L), (again.ForkedFrom, again.MessageCount));
    }

    [Fact]
    public async Task Fork_CountsAsItsOwnersSession()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("user", "secret"));
        await storage.WriteAsync(turn.In(), turn.Answered("known").In());

        await storage.ForkAsync(turn.SessionId, "f", turn.AnswerMessageId, Owner("alice"));

        Assert.Equal(2, (await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Owner("alice") })).Total);
        Assert.Equal(["secret", "known"], (await storage.ListAsync("f", "alice")).Select(message => message.Content.Content));
    }

    [Fact]
    public async Task ForkOfAFork_PagesAsOneList()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2", "3");
        await storage.ForkAsync("session_001", "f", ids[1]);
        var forks = await storage.AppendAllAsync("f", "3f", "4f");
        await storage.ForkAsync("f", "g", forks[0]);
        await storage.AppendAllAsync("g", "4g", "5g");

        Assert.Equal("1 2 3f 4g 5g", await storage.ListedAsync("g"));
        for (var limit = 1; limit <= 6; limit++)
        {
            Assert.Equal("1 2 3f 4g 5g", await storage.PagedAsync("g", limit, byOffset: true, descending: false));
            Assert.Equal("1 2 3f 4g 5g", await storage.PagedAsync("g", limit, byOffset: false, descending: false));
            Assert.Equal("5g 4g 3f 2 1", await storage.PagedAsync("g", limit, byOffset: true, descending: true));
            Assert.Equal("5g 4g 3f 2 1", await storage.PagedAsync("g", limit, byOffset: false, descending: true));
        }
    }

    [Fact]
    public async Task History_ShowsWhatForksShow()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2");
        await storage.ForkAsync("session_001", "f", ids[0]);
        await storage.AppendAllAsync("f", "b");

        List<string> items = [];
        using var call = storage.Sessions.ReadHistory(new ReadHistoryRequest { Scope = Everyone, UserId = "default_user" });
        await foreach (var item in call.ResponseStream.ReadAllAsync())
        {
            items.Add(item.Session?.SessionId ?? item.Message?.Content.Content ?? "");
        }

        Assert.Equal(["", "f", "1", "b", "session_001", "1", "2"], items);
    }

    [Fact]
    public async Task DeletedSession_LeavesItsForksWhole()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2", "3", "4", "5");
        await storage.ForkAsync("session_001", "f", ids[2]);
        await storage.ForkAsync("session_001", "g", ids[3]);
        await storage.AppendAllAsync("g", "5g");
        await storage.ForkAsync("g", "h", ids[1]);

        foreach (var (deleted, left) in new[] { ("session_001", "f g h"), ("f", "g h"), ("g", "h") })
        {
            await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = Everyone, SessionId = deleted });

            foreach (var (session, shown) in new[] { ("f", "1 2 3"), ("g", "1 2 3 4 5g"), ("h", "1 2") }.Where(fork => left.Contains(fork.Item1, StringComparison.Ordinal)))
            {
                Assert.Equal(shown, await storage.ListedAsync(session));
                Assert.Equal(shown.Split(' ').Length, (await storage.GetSessionAsync(session)).MessageCount);
                Assert.Equal(shown.Split(' ').Select(text => $"user: {text}"), await storage.TranscriptAsync(session));
            }
        }

        Assert.False((await storage.GetSessionAsync("h")).HasForkedFrom);
        using var database = storage.OpenAsOtherTool();
        Assert.Equal(["1|h", "2|h"], database.Query("SELECT content, session_id FROM messages ORDER BY seq"));
        Assert.Equal(["default_user|1"], database.Query("SELECT user_id, session_count FROM users"));
    }

    [Fact]
    public async Task DeletedMessage_ClosesTheGapForAllWhoShowIt()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2", "3");
        await storage.ForkAsync("session_001", "f", ids[1]);
        await storage.ForkAsync("session_001", "g", ids[2]);
        await storage.AppendAllAsync("g", "4g");

        await storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = Everyone, MessageId = ids[1] });

        Assert.Equal(("1 3", "1", "1 3 4g"), (await storage.ListedAsync("session_001"), await storage.ListedAsync("f"), await storage.ListedAsync("g")));
        Assert.Equal(["user: 1", "user: 3", "user: 4g"], await storage.TranscriptAsync("g"));
        var fork = await storage.GetSessionAsync("f");
        Assert.Equal((1L, ids[0], ids[0]), (fork.MessageCount, fork.HeadMessageId, fork.ForkedFrom));
        using var database = storage.OpenAsOtherTool();
        Assert.Equal(["1|1", "3|0", "4g|0"], database.Query("SELECT content, prefix_hash IS NOT NULL FROM messages ORDER BY seq"));
    }

    [Fact]
    public async Task DeletedFirstMessage_LeavesTheRestToBeginAnew()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2");
        await storage.ForkAsync("session_001", "f", ids[0]);

        await storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = Everyone, MessageId = ids[0], SessionId = "session_001" });
        await storage.AppendAllAsync("f", "new");

        var fork = await storage.GetSessionAsync("f");
        Assert.Equal((1L, false), (fork.MessageCount, fork.HasForkedFrom));
        Assert.Equal(("2", "new"), (await storage.ListedAsync("session_001"), await storage.ListedAsync("f")));
    }

    [Fact]
    public async Task InheritedMessage_IsNotDeletedThroughTheFork()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2", "3");
        await storage.ForkAsync("session_001", "f", ids[1]);

        Assert.Equal(
            "InvalidArgument: message_id belongs to session session_001, from which this one was forked; delete it there.",
            await RefusedAsync(() => storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = Everyone, MessageId = ids[0], SessionId = "f" })));
        Assert.Equal(
            "NotFound: No such message.",
            await RefusedAsync(() => storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = Everyone, MessageId = ids[2], SessionId = "f" })));
        Assert.Equal("1 2 3", await storage.ListedAsync("session_001"));
    }

    [Fact]
    public async Task Head_MovesToAnyShownMessage_AndTheNextFollowsIt()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2", "3");
        await storage.ForkAsync("session_001", "f", ids[1]);

        await storage.MoveHeadAsync("session_001", ids[0]);
        await storage.MoveHeadAsync("f", ids[0]);
        await storage.AppendAllAsync("session_001", "2b");
        await storage.AppendAllAsync("f", "2f");

        Assert.Equal(["user: 1", "user: 2b"], await storage.TranscriptAsync("session_001"));
        Assert.Equal(["user: 1", "user: 2f"], await storage.TranscriptAsync("f"));
        Assert.Equal(["2|1", "2b|0"], await storage.ChildrenAsync("session_001", ids[0]));
        Assert.Equal(["2|0", "2f|0"], await storage.ChildrenAsync("f", ids[0]));
        Assert.Equal(["1|2"], await storage.ChildrenAsync("f", ""));
    }

    [Fact]
    public async Task Head_RefusesWhatNothingCanContinueFrom()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2", "3");
        await storage.ForkAsync("session_001", "f", ids[1]);
        var running = Ask("session_001", Says("user", "?"));
        var failed = Ask("session_001", Says("user", "?"));
        await storage.WriteAsync(running.In(), failed.In(), failed.Answered("", TurnStatus.Failed).In());

        foreach (var (session, message, why) in new[]
        {
            ("session_001", "unknown", "is not a message of this session."),
            ("f", ids[2], "is not a message of this session."),
            ("session_001", running.AnswerMessageId, "is an answer in progress; wait for its end, or take the message before it."),
            ("session_001", failed.AnswerMessageId, "is an answer that failed, so there is nothing to continue from; take the message before it."),
        })
        {
            Assert.Equal($"InvalidArgument: head_message_id {why}", await RefusedAsync(() => storage.MoveHeadAsync(session, message)));
            Assert.Equal($"InvalidArgument: message_id {why}", await RefusedAsync(() => storage.ForkAsync(session, NewId(), message)));
        }

        Assert.Equal(ids[2], (await storage.GetSessionAsync("session_001")).HeadMessageId);
    }

    [Fact]
    public async Task EmptySession_CannotBeForked()
    {
        await using var storage = await StorageFixture.StartAsync();

        Assert.Equal(
            "InvalidArgument: message_id must name the message to continue from: the session has none yet.",
            await RefusedAsync(() => storage.ForkAsync("session_001", "f")));
    }

    [Fact]
    public async Task Path_IsPagedAndCountsChildren()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = await storage.AppendAllAsync("session_001", "1", "2", "3", "4");
        await storage.MoveHeadAsync("session_001", ids[1]);
        await storage.AppendAllAsync("session_001", "3b");

        Assert.Equal("1/1 2/2 3/1 4/0|4|False", await PathAsync(new GetPathRequest { MessageId = ids[3] }));
        Assert.Equal("1/1 2/2 3b/0|3|False", await PathAsync(new GetPathRequest { SessionId = "session_001" }));
        Assert.Equal("2/2|3|True", await PathAsync(new GetPathRequest { SessionId = "session_001", Limit = 1, Offset = 1 }));
        Assert.Equal("3b/0|3|False", await PathAsync(new GetPathRequest { SessionId = "session_001", Limit = 1, AfterSeq = 2 }));
        Assert.Equal("2/2 1/1|3|False", await PathAsync(new GetPathRequest { SessionId = "session_001", Limit = 2, AfterSeq = 5, Descending = true }));

        async Task<string> PathAsync(GetPathRequest request)
        {
            request.Scope = Everyone;
            var path = await storage.Messages.GetPathAsync(request);
            return $"{string.Join(' ', path.Messages.Select(message => $"{message.Content.Content}/{message.Children}"))}|{path.Total}|{path.HasMore}";
        }
    }

    [Fact]
    public async Task WhatIsSomebodyElses_IsNotThere()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("user", "secret"));
        var end = turn.Answered("known");
        end.CompletionId = "chatcmpl-1";
        await storage.WriteAsync(turn.In(), end.In());
        var scope = Owner("mallory");
        var own = AskNew("own", "mallory", Says("user", "x"));
        await storage.WriteAsync(own.In(), own.Answered("y").In());

        foreach (var id in new[] { turn.AnswerMessageId, NewId() })
        {
            foreach (var session in new[] { "", "own" })
            {
                Assert.Equal("NotFound: No such message.", await RefusedAsync(() => storage.Messages.GetAsync(new GetMessageRequest { Scope = scope, MessageId = id, SessionId = session })));
                Assert.Equal("NotFound: No such message.", await RefusedAsync(() => storage.Messages.GetPathAsync(new GetPathRequest { Scope = scope, MessageId = id, SessionId = session })));
                Assert.Equal("NotFound: No such message.", await RefusedAsync(() => storage.Messages.ListChildrenAsync(new ListChildrenRequest { Scope = scope, MessageId = id, SessionId = session })));
                Assert.Equal("NotFound: No such message.", await RefusedAsync(() => storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = scope, MessageId = id, SessionId = session })));
            }

            Assert.Equal("NotFound: No such message.", await RefusedAsync(() => storage.Messages.UpdateMetadataAsync(new UpdateMessageMetadataRequest { Scope = scope, MessageId = id, Metadata = "{}" })));
            Assert.Equal("NotFound: No such message.", await RefusedAsync(() => storage.Messages.ListChoicesAsync(new ListChoicesRequest { Scope = scope, MessageId = id })));
            Assert.Equal("InvalidArgument: head_message_id is not a message of this session.", await RefusedAsync(() => storage.Sessions.UpdateAsync(new UpdateSessionRequest { Scope = scope, SessionId = "own", HeadMessageId = id })));
            Assert.Equal("InvalidArgument: message_id is not a message of this session.", await RefusedAsync(() => storage.ForkAsync("own", NewId(), id, scope)));
        }

        foreach (var id in new[] { turn.SessionId, NewId() })
        {
            Assert.Equal("NotFound: No such session.", await RefusedAsync(() => storage.Messages.GetAsync(new GetMessageRequest { Scope = scope, MessageId = turn.AnswerMessageId, SessionId = id })));
            Assert.Equal("NotFound: No such session.", await RefusedAsync(() => storage.Messages.GetPathAsync(new GetPathRequest { Scope = scope, SessionId = id })));
            Assert.Equal("NotFound: No such session.", await RefusedAsync(() => storage.Messages.ListChildrenAsync(new ListChildrenRequest { Scope = scope, SessionId = id })));
            Assert.Equal("NotFound: No such session.", await RefusedAsync(() => storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = scope, MessageId = turn.AnswerMessageId, SessionId = id })));
            Assert.Equal("NotFound: No such session.", await RefusedAsync(() => storage.ForkAsync(id, NewId(), turn.AnswerMessageId, scope)));
        }

        // Nor does a fork's id that somebody else has already.
        Assert.Equal("NotFound: No such session.", await RefusedAsync(() => storage.ForkAsync("own", turn.SessionId, own.AnswerMessageId, scope)));
        Assert.Equal("NotFound: No such message.", await RefusedAsync(() => storage.Messages.GetAsync(new GetMessageRequest { Scope = scope, CompletionId = "chatcmpl-1" })));
        Assert.Equal(["secret", "known"], (await storage.ListAsync(turn.SessionId, "alice")).Select(message => message.Content.Content));
    }

    private static async Task<string> RefusedAsync<T>(Func<AsyncUnaryCall<T>> call) => await RefusedAsync(async () => { await call(); });

    private static async Task<string> RefusedAsync(Func<Task> call)
    {
        var refused = await Assert.ThrowsAsync<RpcException>(call);
        return $"{refused.StatusCode}: {refused.Status.Detail}";
    }
}
