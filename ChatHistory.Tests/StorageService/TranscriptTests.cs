using ChatHistory.Storage.V1;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>Clients that send their whole conversation each time, without any id.</summary>
public sealed class TranscriptTests
{
    [Fact]
    public async Task Conversation_GoesOnInItsSession()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = await TurnAsync(storage, "1", Says("user", "one"));
        var second = await TurnAsync(storage, "2", Says("user", "one"), Says("assistant", "1"), Says("user", "two"));

        Assert.Equal(first.SessionId, second.SessionId);
        Assert.Equal(2, second.InputAlreadyStored);
        Assert.Empty(second.History);
        Assert.Equal(["user: one", "assistant: 1", "user: two", "assistant: 2"], await storage.TranscriptAsync(first.SessionId));
    }

    [Fact]
    public async Task Regeneration_IsASecondAnswerToTheSameQuestion()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = await TurnAsync(storage, "1", Says("user", "one"));
        MessageContent[] question = [Says("user", "one"), Says("assistant", "1"), Says("user", "two")];
        var second = await TurnAsync(storage, "2a", question);
        var again = await TurnAsync(storage, "2b", question);

        Assert.Equal(3, again.InputAlreadyStored);
        Assert.Equal(second.UserMessageId, again.UserMessageId);
        Assert.Equal(5, (await storage.ListAsync(first.SessionId)).Count);
    }

    [Fact]
    public async Task FirstQuestionThatWasAnswered_BeginsAnotherSession()
    {
        await using var storage = await StorageFixture.StartAsync();
        var one = await TurnAsync(storage, "1", Says("user", "Hello"));
        var other = await TurnAsync(storage, "another", Says("user", "Hello"));

        Assert.NotEqual(one.SessionId, other.SessionId);
    }

    [Fact]
    public async Task TwoClientsThatSayTheSame_KeepASessionEach()
    {
        await using var storage = await StorageFixture.StartAsync();
        await TurnAsync(storage, "Hi", Says("user", "Hello"));
        await TurnAsync(storage, "Hi", Says("user", "Hello"));

        var one = await TurnAsync(storage, "2", Says("user", "Hello"), Says("assistant", "Hi"), Says("user", "from one"));
        var other = await TurnAsync(storage, "2", Says("user", "Hello"), Says("assistant", "Hi"), Says("user", "from the other"));

        Assert.NotEqual(one.SessionId, other.SessionId);
    }

    [Fact]
    public async Task SameConversationHeldAgain_IsAnotherSession_UpToItsRegenerations()
    {
        await using var storage = await StorageFixture.StartAsync();
        MessageContent[] second = [Says("user", "Hello"), Says("assistant", "Hi"), Says("user", "two")];
        var one = await TurnAsync(storage, "Hi", Says("user", "Hello"));
        await TurnAsync(storage, "2", second);
        var other = await TurnAsync(storage, "Hi", Says("user", "Hello"));
        var otherSecond = await TurnAsync(storage, "2", second);
        var otherAgain = await TurnAsync(storage, "2", second);

        Assert.NotEqual(one.SessionId, other.SessionId);
        Assert.Equal((other.SessionId, other.SessionId), (otherSecond.SessionId, otherAgain.SessionId));
        Assert.Equal(otherSecond.UserMessageId, otherAgain.UserMessageId);
    }

    [Fact]
    public async Task FirstQuestionThatFailed_IsNotStoredTwice()
    {
        await using var storage = await StorageFixture.StartAsync();
        var failed = await TurnAsync(storage, "", TurnStatus.Failed, Says("user", "one"));
        var again = await TurnAsync(storage, "1", Says("user", "one"));

        Assert.Equal((failed.SessionId, failed.UserMessageId), (again.SessionId, again.UserMessageId));
        Assert.Equal(["user: one", "assistant: 1"], await storage.TranscriptAsync(again.SessionId));
    }

    [Theory]
    [InlineData(TurnStatus.Cancelled)]
    [InlineData(TurnStatus.Interrupted)]
    [InlineData(TurnStatus.Failed)]
    public async Task AnswerThatItsClientHoldsInPart_IsTheSameAnswer(TurnStatus status)
    {
        await using var storage = await StorageFixture.StartAsync();
        var cut = await TurnAsync(storage, "a long answer", status, Says("user", "one"));
        var second = await TurnAsync(storage, "2", Says("user", "one"), Says("assistant", "a long"), Says("user", "two"));
        var third = await TurnAsync(
            storage, "3", Says("user", "one"), Says("assistant", "a long"), Says("user", "two"), Says("assistant", "2"), Says("user", "three"));

        Assert.Equal((cut.SessionId, cut.SessionId), (second.SessionId, third.SessionId));
        Assert.Equal((2, 4), (second.InputAlreadyStored, third.InputAlreadyStored));
    }

    [Fact]
    public async Task AnotherOwnersConversation_IsNotFound()
    {
        await using var storage = await StorageFixture.StartAsync();
        var alice = await TurnAsync(storage, "1", Says("user", "one"));
        var turn = Transcript("bob", Says("user", "one"), Says("assistant", "1"), Says("user", "two"));
        var bob = (await storage.WriteOneAsync(turn.In(Owner("bob")))).TurnBegun;

        Assert.NotEqual(alice.SessionId, bob.SessionId);
        Assert.Equal(0, bob.InputAlreadyStored);
    }

    [Fact]
    public async Task RepeatedRequest_FindsTheTurnThatItBegan()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = Transcript("alice", Says("user", "one"));
        var first = (await storage.WriteOneAsync(turn.In())).TurnBegun;
        var whileInProgress = await RepeatAsync(storage, Says("user", "one"));
        var end = turn.Answered("1");
        end.SessionId = first.SessionId;
        await storage.WriteOneAsync(end.In());
        var afterwards = await RepeatAsync(storage, Says("user", "one"));

        Assert.Equal((true, first.AnswerMessageId, TurnStatus.InProgress), (whileInProgress.Found, whileInProgress.AnswerMessageId, whileInProgress.Status));
        Assert.Equal((true, first.AnswerMessageId, TurnStatus.Completed), (afterwards.Found, afterwards.AnswerMessageId, afterwards.Status));
    }

    [Fact]
    public async Task RepeatedRequestWithASessionId_FindsTheTurnThatItBegan()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = await TurnAsync(storage, "1", Says("user", "one"));
        var turn = Ask(first.SessionId, Says("user", "two"));
        var begun = (await storage.WriteOneAsync(turn.In())).TurnBegun;
        await storage.WriteOneAsync(turn.Answered("2").In());

        var again = Ask(first.SessionId, Says("user", "two"));
        again.Repeated = true;
        var found = (await storage.WriteOneAsync(again.In())).TurnBegun;

        Assert.Equal((true, begun.AnswerMessageId), (found.Found, found.AnswerMessageId));
    }

    [Fact]
    public async Task SupersededTurn_IsInterruptedAndItsQuestionAskedAgain()
    {
        await using var storage = await StorageFixture.StartAsync();
        var lost = (await storage.WriteOneAsync(Transcript("alice", Says("user", "one")).In())).TurnBegun;
        var again = Transcript("alice", Says("user", "one"));
        again.Repeated = true;
        again.Supersedes = lost.AnswerMessageId;
        var begun = (await storage.WriteOneAsync(again.In())).TurnBegun;
        var messages = await storage.ListAsync(lost.SessionId);

        Assert.Equal((false, lost.SessionId, lost.UserMessageId), (begun.Found, begun.SessionId, begun.UserMessageId));
        Assert.Equal([TurnStatus.Completed, TurnStatus.Interrupted, TurnStatus.InProgress], messages.Select(message => message.Status));
    }

    [Fact]
    public async Task IdempotencyKey_StandsForOneTurn()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = (await storage.WriteOneAsync(Keyed("k", 1).In())).TurnBegun;
        var joined = (await storage.WriteOneAsync(Keyed("k", 1).In())).TurnBegun;
        var reused = await storage.WriteOneAsync(Keyed("k", 2).In());

        Assert.Equal((true, first.AnswerMessageId), (joined.Found, joined.AnswerMessageId));
        Assert.Equal(Refusal.Types.Reason.KeyReused, reused.Refusal.Reason);
    }

    [Fact]
    public async Task IdempotencyKeyOfALostTurn_IsTakenOver()
    {
        await using var storage = await StorageFixture.StartAsync();
        var lost = (await storage.WriteOneAsync(Keyed("k", 1).In())).TurnBegun;
        var again = Keyed("k", 1);
        again.Supersedes = lost.AnswerMessageId;
        var begun = (await storage.WriteOneAsync(again.In())).TurnBegun;

        Assert.Equal((false, lost.SessionId, lost.UserMessageId), (begun.Found, begun.SessionId, begun.UserMessageId));
        Assert.Equal(3, (await storage.ListAsync(lost.SessionId)).Count);
    }

    [Fact]
    public async Task IdempotencyKeyOfATurnThatFailed_AsksTheSameQuestionAgain()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = Keyed("k", 1);
        var first = (await storage.WriteOneAsync(turn.In())).TurnBegun;
        await storage.WriteOneAsync(turn.Answered("", TurnStatus.Failed).In());
        var again = (await storage.WriteOneAsync(Keyed("k", 1).In())).TurnBegun;

        Assert.Equal((false, first.SessionId, first.UserMessageId), (again.Found, again.SessionId, again.UserMessageId));
    }

    [Fact]
    public async Task Parent_IsContinuedWhereverTheHeadIs()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = await TurnAsync(storage, "1", Says("user", "one"));
        await TurnAsync(storage, "2", Says("user", "one"), Says("assistant", "1"), Says("user", "two"));

        var edit = Ask("", Says("user", "two, edited"));
        (edit.Placement, edit.ParentMessageId) = (Placement.AfterParent, first.AnswerMessageId);
        var edited = (await storage.WriteOneAsync(edit.In())).TurnBegun;
        var regeneration = Ask(first.SessionId);
        (regeneration.Placement, regeneration.ParentMessageId) = (Placement.AfterParent, first.UserMessageId);
        var regenerated = (await storage.WriteOneAsync(regeneration.In())).TurnBegun;

        Assert.Equal((first.SessionId, first.SessionId), (edited.SessionId, regenerated.SessionId));
        Assert.Equal(["one", "1"], edited.History.Select(message => message.Content));
        Assert.Equal(["one"], regenerated.History.Select(message => message.Content));
        Assert.Equal(first.UserMessageId, regenerated.UserMessageId);
    }

    [Fact]
    public async Task NamedSession_TakesTranscriptsWhateverTheirBeginning()
    {
        await using var storage = await StorageFixture.StartAsync();
        var id = NewId();
        await TurnAsync(storage, "1", InSession(id, Says("user", "Hello")));
        await TurnAsync(storage, "1b", InSession(id, Says("user", "Hello")));
        await TurnAsync(storage, "other", InSession(id, Says("user", "Hello, edited")));

        var messages = await storage.ListAsync(id);
        Assert.Equal(["Hello", "1", "1b", "Hello, edited", "other"], messages.Select(message => message.Content.Content));
        Assert.Equal(2, messages.Count(message => !message.HasParentId));
    }

    private static BeginTurn Transcript(string userId, params MessageContent[] input)
    {
        var turn = AskNew(NewId(), userId, input);
        turn.Placement = Placement.TranscriptOfAnySession;
        return turn;
    }

    private static BeginTurn InSession(string sessionId, params MessageContent[] input)
    {
        var turn = AskNew(sessionId, "alice", input);
        turn.Placement = Placement.TranscriptOfSession;
        return turn;
    }

    private static BeginTurn Keyed(string key, byte hash)
    {
        var turn = Transcript("alice", Says("user", "one"));
        turn.Idempotency = new Idempotency { Key = key, RequestHash = Google.Protobuf.ByteString.CopyFrom(hash) };
        return turn;
    }

    private static Task<TurnBegun> TurnAsync(StorageFixture storage, string answer, params MessageContent[] input) =>
        TurnAsync(storage, answer, TurnStatus.Completed, input);

    private static Task<TurnBegun> TurnAsync(StorageFixture storage, string answer, TurnStatus status, params MessageContent[] input) =>
        TurnAsync(storage, answer, Transcript("alice", input), status);

    private static async Task<TurnBegun> TurnAsync(StorageFixture storage, string answer, BeginTurn turn, TurnStatus status = TurnStatus.Completed)
    {
        var begun = (await storage.WriteOneAsync(turn.In())).TurnBegun;
        var end = turn.Answered(answer, status);
        end.SessionId = begun.SessionId;
        Assert.NotNull((await storage.WriteOneAsync(end.In())).TurnCompleted);
        return begun;
    }

    private static async Task<TurnBegun> RepeatAsync(StorageFixture storage, params MessageContent[] input)
    {
        var turn = Transcript("alice", input);
        turn.Repeated = true;
        return (await storage.WriteOneAsync(turn.In())).TurnBegun;
    }
}
