using ChatHistory.Storage.V1;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>A path that the gateway still has is not sent again, and is never taken for one that has changed.</summary>
public sealed class KnownPathTests
{
    [Fact]
    public async Task KnownPath_IsNotSentAgain()
    {
        await using var storage = await StorageFixture.StartAsync();
        var (session, path) = await TalkAsync(storage, "alice", "one");

        var second = Knowing(path, Ask(session, Says("user", "two")));
        var begun = await BeginAsync(storage, second);
        var behind = await EndAsync(storage, second, begun, "2");
        var third = await BeginAsync(storage, Knowing(behind, Ask(session, Says("system", "Be brief."), Says("user", "three"))));

        Assert.Equal((true, 0, 10), (begun.HistoryKnown, begun.History.Count, begun.KnownTokens));
        Assert.Equal((true, 0), (third.HistoryKnown, third.History.Count));
        Assert.Equal(["user: one", "assistant: 1", "user: two", "assistant: 2"], await storage.TranscriptAsync(session));
    }

    [Fact]
    public async Task PathOfARegeneration_AndOfAParent_IsKnownToo()
    {
        await using var storage = await StorageFixture.StartAsync();
        var (session, path) = await TalkAsync(storage, "alice", "one");
        var second = Knowing(path, Ask(session, Says("user", "two")));
        var begun = await BeginAsync(storage, second);
        await EndAsync(storage, second, begun, "2");

        var again = Knowing(begun.Path, Ask(session));
        (again.Placement, again.ParentMessageId) = (Placement.AfterParent, begun.UserMessageId);
        var edit = Knowing(path, Ask(session, Says("user", "two, but better")));
        (edit.Placement, edit.ParentMessageId) = (Placement.AfterParent, path!.EndMessageId);

        Assert.Equal((true, begun.Path), (await BeginAsync(storage, again) is var regenerated && regenerated.HistoryKnown, regenerated.Path));
        Assert.True((await BeginAsync(storage, edit)).HistoryKnown);
    }

    [Theory]
    [InlineData("deleted")]
    [InlineData("emptied")]
    [InlineData("edited by another program")]
    [InlineData("deleted by another program")]
    public async Task ChangedPath_IsSent(string change)
    {
        await using var storage = await StorageFixture.StartAsync();
        var (session, path) = await TalkAsync(storage, "alice", "one", "two", "three");
        var messages = await storage.ListAsync(session);

        await ChangeAsync(storage, messages[2].MessageId, change);
        var begun = await BeginAsync(storage, Knowing(path, Ask(session, Says("user", "four"))));

        string[] left = change switch
        {
            "emptied" => ["one", "1", "", "2", "three", "3"],
            "edited by another program" => ["one", "1", "Two", "2", "three", "3"],
            _ => ["one", "1", "2", "three", "3"],
        };
        Assert.False(begun.HistoryKnown);
        Assert.Equal(left, begun.History.Select(message => message.Content));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(5)]
    public async Task PathThatChangedDuringATurn_HasNoVersionAtItsEnd(int deleted)
    {
        await using var storage = await StorageFixture.StartAsync();
        var (session, path) = await TalkAsync(storage, "alice", "one", "two");
        var turn = Knowing(path, Ask(session, Says("user", "three"), Says("user", "and four")));
        var begun = await BeginAsync(storage, turn);

        // The last one is the question itself: the answer then follows a message whose hash is as good as before.
        await ChangeAsync(storage, (await storage.ListAsync(session))[deleted].MessageId, "deleted");

        Assert.Null(await EndAsync(storage, turn, begun, "3"));
    }

    [Fact]
    public async Task AnswerThatIsRepairedBelowAPath_MakesItAnother()
    {
        await using var storage = await StorageFixture.StartAsync();
        var (session, path) = await TalkAsync(storage, "alice", "one");
        var cut = Knowing(path, Ask(session, Says("user", "two")));
        await storage.WriteAsync(cut.In(), cut.Answered("half", TurnStatus.Interrupted).In());
        var third = Ask(session, Says("user", "three"));
        var begun = await BeginAsync(storage, third);
        var known = await EndAsync(storage, third, begun, "3");

        await storage.WriteOneAsync(cut.Answered("half and half").In());
        var next = await BeginAsync(storage, Knowing(known, Ask(session, Says("user", "four"))));

        Assert.NotNull(known);
        Assert.False(next.HistoryKnown);
        Assert.Equal(["one", "1", "two", "half and half", "three", "3"], next.History.Select(message => message.Content));
    }

    [Theory]
    [InlineData(TurnStatus.Cancelled)]
    [InlineData(TurnStatus.Failed)]
    [InlineData(TurnStatus.Interrupted)]
    public async Task AnswerThatDidNotComeToItsEnd_HasNoVersion(TurnStatus status)
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("user", "one"));
        var begun = await BeginAsync(storage, turn);

        Assert.NotNull(begun.Path);
        Assert.Null(await EndAsync(storage, turn, begun, "half", status));
    }

    [Fact]
    public async Task TranscriptThatIsPartlyStored_HasNoVersion()
    {
        await using var storage = await StorageFixture.StartAsync();
        var (session, _) = await TalkAsync(storage, "alice", "one");

        // What is stored of it is the same by its digest only: names, for example, may differ.
        var begun = await BeginAsync(storage, Ask(session, Says("user", "one"), Says("assistant", "1"), Says("user", "two")));

        Assert.Equal((2, null), (begun.InputAlreadyStored, begun.Path));
    }

    [Fact]
    public async Task AnothersPath_IsTheSameAsNone()
    {
        await using var storage = await StorageFixture.StartAsync();
        var (session, path) = await TalkAsync(storage, "alice", "one");
        var (own, _) = await TalkAsync(storage, "mallory", "mine");

        var refused = await storage.WriteOneAsync(Knowing(path, Ask(session, Says("user", "two"))).In(Owner("mallory")));
        var unknown = await storage.WriteOneAsync(Knowing(path, Ask(NewId(), Says("user", "two"))).In(Owner("mallory")));
        var begun = (await storage.WriteOneAsync(Knowing(path, Ask(own, Says("user", "two"))).In(Owner("mallory")))).TurnBegun;

        Assert.Equal(unknown, refused);
        Assert.False(begun.HistoryKnown);
        Assert.Equal(["mine", "1"], begun.History.Select(message => message.Content));
    }

    [Fact]
    public async Task PathOfAnEarlierStart_IsSent()
    {
        using var folder = new TemporaryFolder();
        var database = Path.Combine(folder.Path, "chat.db");
        string session;
        PathVersion? path;
        await using (var before = await StorageFixture.StartAsync(database))
        {
            (session, path) = await TalkAsync(before, "alice", "one");
        }

        await using var storage = await StorageFixture.StartAsync(database);
        var begun = await BeginAsync(storage, Knowing(path, Ask(session, Says("user", "two"))));

        Assert.Equal((false, 2), (begun.HistoryKnown, begun.History.Count));
    }

    private static BeginTurn Knowing(PathVersion? path, BeginTurn turn)
    {
        turn.KnownPath = path;
        return turn;
    }

    private static async Task<TurnBegun> BeginAsync(StorageFixture storage, BeginTurn turn) => (await storage.WriteOneAsync(turn.In())).TurnBegun;

    private static async Task<PathVersion?> EndAsync(StorageFixture storage, BeginTurn turn, TurnBegun begun, string answer, TurnStatus status = TurnStatus.Completed)
    {
        var end = turn.Answered(answer, status);
        end.Path = begun.Path;
        return (await storage.WriteOneAsync(end.In())).TurnCompleted.Path;
    }

    /// <summary>A new session with these questions, answered 1, 2, ...</summary>
    private static async Task<(string SessionId, PathVersion? Path)> TalkAsync(StorageFixture storage, string userId, params string[] questions)
    {
        var session = NewId();
        PathVersion? path = null;
        for (var i = 0; i < questions.Length; i++)
        {
            var turn = i == 0 ? AskNew(session, userId, Says("user", questions[i])) : Knowing(path, Ask(session, Says("user", questions[i])));
            path = await EndAsync(storage, turn, await BeginAsync(storage, turn), $"{i + 1}");
        }

        return (session, path);
    }

    private static async Task ChangeAsync(StorageFixture storage, string messageId, string change)
    {
        if (change.EndsWith("program", StringComparison.Ordinal))
        {
            using var other = storage.OpenAsOtherTool();
            using var command = other.CreateCommand();
            command.CommandText = change.StartsWith("edited", StringComparison.Ordinal)
                ? "UPDATE messages SET content = 'Two' WHERE message_id = $id"
                : "DELETE FROM messages WHERE message_id = $id";
            command.Parameters.AddWithValue("$id", messageId);
            Assert.Equal(1, command.ExecuteNonQuery());
            return;
        }

        await storage.Messages.DeleteAsync(new DeleteMessageRequest
        {
            Scope = Everyone,
            MessageId = messageId,
            Rest = change == "emptied" ? new MessageContent { Role = "user" } : null,
        });
    }
}
