using ChatHistory.Storage.V1;
using Google.Protobuf;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

public sealed class TurnsTests
{
    [Fact]
    public async Task Turn_IsStoredBeforeItIsAnswered()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("system", "Be brief."), Says("user", "Hi"));

        var begun = await storage.WriteOneAsync(turn.In());
        var whileInProgress = await storage.ListAsync(turn.SessionId);
        var completed = await storage.WriteOneAsync(turn.Answered("Hello").In());
        var after = await storage.ListAsync(turn.SessionId);
        var session = await storage.GetSessionAsync(turn.SessionId);

        Assert.Equal(
            new TurnBegun
            {
                SessionId = turn.SessionId, UserMessageId = turn.Input[1].MessageId, AnswerMessageId = turn.AnswerMessageId, Status = TurnStatus.InProgress,
                Path = begun.TurnBegun.Path,
            },
            begun.TurnBegun);
        Assert.Equal(
            [(1L, "system", "Be brief.", TurnStatus.Completed), (2L, "user", "Hi", TurnStatus.Completed), (3L, "assistant", "", TurnStatus.InProgress)],
            whileInProgress.Select(m => (m.Seq, m.Content.Role, m.Content.Content, m.Status)));
        Assert.NotNull(completed.TurnCompleted);
        Assert.Equal(
            ("Hello", TurnStatus.Completed, "stop", 3, 7),
            (after[2].Content.Content, after[2].Status, after[2].FinishReason, after[2].Tokens, after[2].PromptTokens));
        Assert.Equal("New Conversation", session.Title);
        Assert.Equal(
            (3L, 7L, 3L, turn.AnswerMessageId),
            (session.MessageCount, session.PromptTokens, session.CompletionTokens, session.HeadMessageId));
    }

    [Fact]
    public async Task EveryFieldOfAMessage_ComesBackAsItWasSent()
    {
        await using var storage = await StorageFixture.StartAsync();
        var question = Says("user", "Wörter \u0000 nul, \uD83D\uDE00, <b>\"quotes\"</b>");
        question.ContentParts = """[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]""";
        question.Name = "Ann";
        question.Extra = """{"unknown_field":[1,2]}""";
        var toolResult = Says("tool", "42");
        toolResult.ToolCallId = "call_1";
        var turn = AskNew(NewId(), "alice", question, toolResult);
        turn.TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";
        var end = turn.Answered("", TurnStatus.Incomplete);
        end.Answer.Content.ToolCalls = """[{"id":"call_2","type":"function","function":{"name":"f","arguments":"{}"}}]""";
        end.Answer.Content.Reasoning = "Let me think.";
        end.Answer.FinishReason = "length";
        end.TtftMs = 12.5;
        end.DurationMs = 345.75;
        end.CompletionId = "chatcmpl-1";
        end.Model = "answering-model";
        end.Error = new TurnError { Code = "odd", Message = "\"quoted\"" };

        await storage.WriteAsync(turn.In(), end.In());
        var messages = await storage.ListAsync(turn.SessionId);
        var transcript = await storage.Sessions.GetTranscriptAsync(new GetTranscriptRequest { Scope = Everyone, SessionId = turn.SessionId });

        Assert.Equal(
            [WithoutDigest(question), WithoutDigest(toolResult), WithoutDigest(end.Answer.Content)],
            messages.Select(message => message.Content));
        Assert.Equal(messages.Select(message => message.Content), transcript.Messages);
        var answer = messages[2];
        Assert.Equal(
            new Message
            {
                MessageId = turn.AnswerMessageId,
                SessionId = turn.SessionId,
                ParentId = turn.Input[1].MessageId,
                Seq = 3,
                Content = answer.Content,
                Status = TurnStatus.Incomplete,
                Error = end.Error,
                FinishReason = "length",
                Model = "answering-model",
                Tokens = 3,
                PromptTokens = 7,
                TtftMs = 12.5,
                DurationMs = 345.75,
                CompletionId = "chatcmpl-1",
                RequestId = turn.RequestId,
                TraceId = turn.TraceId,
                CreatedAt = answer.CreatedAt,
            },
            answer);
    }

    [Fact]
    public async Task NewMessages_ComeWithTheStoredHistoryBeforeThem()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("user", "one"));
        await storage.WriteAsync(first.In(), first.Answered("1").In());

        var second = Ask(first.SessionId, Says("user", "two"));
        var begun = (await storage.WriteOneAsync(second.In())).TurnBegun;
        await storage.WriteOneAsync(second.Answered("2").In());

        Assert.Equal(["user: one", "assistant: 1"], begun.History.Select(m => $"{m.Role}: {m.Content}"));
        Assert.Equal(0, begun.InputAlreadyStored);
        Assert.Equal(["user: one", "assistant: 1", "user: two", "assistant: 2"], await storage.TranscriptAsync(first.SessionId));
    }

    [Fact]
    public async Task RepeatedTranscript_IsNotStoredAgain()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("system", "S"), Says("user", "one"));
        await storage.WriteAsync(first.In(), first.Answered("1").In());

        var second = Ask(first.SessionId, Says("system", "S"), Says("user", "one"), Says("assistant", "1"), Says("user", "two"));
        var begun = (await storage.WriteOneAsync(second.In())).TurnBegun;
        await storage.WriteOneAsync(second.Answered("2").In());

        Assert.Empty(begun.History);
        Assert.Equal((3, second.Input[3].MessageId), (begun.InputAlreadyStored, begun.UserMessageId));
        Assert.Equal(
            ["system: S", "user: one", "assistant: 1", "user: two", "assistant: 2"],
            await storage.TranscriptAsync(first.SessionId));
        Assert.Equal(5, (await storage.GetSessionAsync(first.SessionId)).MessageCount);
    }

    [Fact]
    public async Task StoredQuestion_SentAgain_IsAnsweredAndNotStoredAgain()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("user", "one"));
        await storage.WriteAsync(first.In(), first.Answered("1").In());
        var appended = Append(first.SessionId, Says("user", "two"));
        await storage.WriteOneAsync(appended.In());

        var turn = Ask(first.SessionId, Says("user", "one"), Says("assistant", "1"), Says("user", "two"));
        var begun = (await storage.WriteOneAsync(turn.In())).TurnBegun;
        await storage.WriteOneAsync(turn.Answered("2").In());

        Assert.Equal((0, 3, appended.Message.MessageId), (begun.History.Count, begun.InputAlreadyStored, begun.UserMessageId));
        Assert.Equal(["user: one", "assistant: 1", "user: two", "assistant: 2"], await storage.TranscriptAsync(first.SessionId));
    }

    [Fact]
    public async Task DifferentTranscript_IsTakenForNewMessages()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("user", "one"));
        await storage.WriteAsync(first.In(), first.Answered("1").In());

        var begun = (await storage.WriteOneAsync(Ask(first.SessionId, Says("user", "one"), Says("assistant", "another"), Says("user", "two")).In())).TurnBegun;

        Assert.Equal((2, 0), (begun.History.Count, begun.InputAlreadyStored));
    }

    [Fact]
    public async Task RepeatedSystemPrompt_IsNotStoredAgain()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("system", "S"), Says("developer", "D"), Says("user", "one"));
        await storage.WriteAsync(first.In(), first.Answered("1").In());

        var same = Ask(first.SessionId, Says("system", "S"), Says("developer", "D"), Says("user", "two"));
        var begun = (await storage.WriteOneAsync(same.In())).TurnBegun;
        await storage.WriteOneAsync(same.Answered("2").In());
        var other = (await storage.WriteOneAsync(Ask(first.SessionId, Says("system", "T"), Says("user", "three")).In())).TurnBegun;

        Assert.Equal((4, 2), (begun.History.Count, begun.InputAlreadyStored));
        Assert.Equal((6, 0), (other.History.Count, other.InputAlreadyStored));
    }

    [Theory]
    [InlineData(TurnStatus.Failed, "", false)]
    [InlineData(TurnStatus.Failed, "half", false)]
    [InlineData(TurnStatus.Cancelled, "", false)]
    [InlineData(TurnStatus.Cancelled, "half", true)]
    [InlineData(TurnStatus.Incomplete, "half", true)]
    [InlineData(TurnStatus.Interrupted, "half", true)]
    public async Task EndedTurn_IsContinuedFrom_OnlyWhenItLeftSomething(TurnStatus status, string content, bool continued)
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("user", "one"));
        await storage.WriteAsync(first.In(), first.Answered("1").In());
        var second = Ask(first.SessionId, Says("user", "poison"));

        await storage.WriteAsync(second.In(), second.Answered(content, status).In());
        var begun = (await storage.WriteOneAsync(Ask(first.SessionId, Says("user", "three")).In())).TurnBegun;

        string[] expected = continued ? ["one", "1", "poison", content] : ["one", "1"];
        Assert.Equal(expected, begun.History.Select(message => message.Content));
        var listed = await storage.ListAsync(first.SessionId);
        Assert.Equal((6, status), (listed.Count, listed[3].Status));
    }

    [Fact]
    public async Task TurnInProgress_IsNotOnThePath()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("user", "one"));
        await storage.WriteAsync(first.In(), first.Answered("1").In());
        var running = Ask(first.SessionId, Says("user", "two"));
        await storage.WriteAsync(running.In(), running.SoFar("2 so far").In());

        var begun = (await storage.WriteOneAsync(Ask(first.SessionId, Says("user", "three")).In())).TurnBegun;

        Assert.Equal(["one", "1"], begun.History.Select(message => message.Content));
        Assert.Equal(["user: one", "assistant: 1"], await storage.TranscriptAsync(first.SessionId));
    }

    [Fact]
    public async Task OfTwoTurnsAtOnce_TheLaterOneIsContinued_InWhateverOrderTheyEnd()
    {
        await using var storage = await StorageFixture.StartAsync();
        var earlier = AskNew(NewId(), "alice", Says("user", "earlier"));
        var later = Ask(earlier.SessionId, Says("user", "later"));
        await storage.WriteAsync(earlier.In(), later.In());

        await storage.WriteOneAsync(later.Answered("2").In());
        await storage.WriteOneAsync(earlier.Answered("1").In());

        Assert.Equal(["user: later", "assistant: 2"], await storage.TranscriptAsync(earlier.SessionId));
    }

    [Fact]
    public async Task BeginTurn_SentAgain_AnswersTheSame()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("system", "S"), Says("user", "one"));
        var second = Ask(first.SessionId, Says("system", "S"), Says("user", "two"));
        var third = Ask(first.SessionId, Says("system", "S"), Says("user", "one"), Says("assistant", "1"), Says("user", "two"), Says("assistant", "2"), Says("user", "three"));
        // The same question twice, because the first one is not answered.
        var unanswered = Ask(first.SessionId, Says("system", "S"), Says("user", "four"), Says("user", "five"));
        var askedAgain = Ask(first.SessionId, Says("system", "S"), Says("user", "four"), Says("user", "five"));
        List<WriteResult> sent = [], sentAgain = [];
        foreach (var (turn, answer) in new[] { (first, "1"), (second, "2"), (third, "3"), (unanswered, null), (askedAgain, "4") })
        {
            sent.Add(await storage.WriteOneAsync(turn.In()));
            sentAgain.Add(await storage.WriteOneAsync(turn.In()));
            await storage.WriteOneAsync((answer is null ? turn.Answered("", TurnStatus.Failed) : turn.Answered(answer)).In());
            sent.Add(sent[^1]);
            sentAgain.Add(await storage.WriteOneAsync(turn.In()));
        }

        Assert.Equal(sent, sentAgain);
        var begun = sent.Where((_, index) => index % 2 == 0).Select(result => result.TurnBegun).ToList();
        Assert.Equal([0, 1, 5, 1, 3], begun.Select(turn => turn.InputAlreadyStored));
        Assert.Equal([0, 3, 0, 7, 7], begun.Select(turn => turn.History.Count));
        Assert.Equal(begun[3].UserMessageId, begun[4].UserMessageId);
        Assert.Equal(11, (await storage.GetSessionAsync(first.SessionId)).MessageCount);
    }

    [Fact]
    public async Task CompleteTurn_SentAgain_CountsItsTokensOnce()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("user", "one"));
        var end = turn.Answered("1");
        end.Alternatives.Add(new Answer { MessageId = NewId(), Content = Says("assistant", "uno"), FinishReason = "stop" });

        await storage.WriteAsync(turn.In(), end.In(), end.In());
        await storage.WriteAsync(end.In());

        var session = await storage.GetSessionAsync(turn.SessionId);
        var messages = await storage.ListAsync(turn.SessionId);
        Assert.Equal((3L, 7L, 3L), (session.MessageCount, session.PromptTokens, session.CompletionTokens));
        Assert.Equal(
            [(2L, turn.Input[0].MessageId, "1"), (3L, turn.Input[0].MessageId, "uno")],
            messages.Skip(1).Select(message => (message.Seq, message.ParentId, message.Content.Content)));
        Assert.Equal(["user: one", "assistant: 1"], await storage.TranscriptAsync(turn.SessionId));
    }

    [Fact]
    public async Task CompleteTurn_WithoutAnswer_KeepsTheLastCheckpoint()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("user", "one"));
        var end = new CompleteTurn { SessionId = turn.SessionId, AnswerMessageId = turn.AnswerMessageId, Status = TurnStatus.Cancelled };

        await storage.WriteAsync(turn.In(), turn.SoFar("half").In(), end.In());

        var answer = (await storage.ListAsync(turn.SessionId))[1];
        Assert.Equal(("half", TurnStatus.Cancelled), (answer.Content.Content, answer.Status));
        Assert.Equal(turn.AnswerMessageId, (await storage.GetSessionAsync(turn.SessionId)).HeadMessageId);
    }

    [Fact]
    public async Task Checkpoint_AfterTheEnd_ChangesNothing()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("user", "one"));

        var results = await storage.WriteAsync(turn.In(), turn.Answered("whole").In(), turn.SoFar("half").In());

        Assert.NotNull(results[2].Checkpointed);
        var answer = (await storage.ListAsync(turn.SessionId))[1];
        Assert.Equal(("whole", TurnStatus.Completed), (answer.Content.Content, answer.Status));
    }

    [Fact]
    public async Task AppendMessage_ContinuesTheSession()
    {
        await using var storage = await StorageFixture.StartAsync();
        var append = Append("session_001", Says("user", "by hand"));
        append.Model = "m";
        append.Tokens = 5;

        var appended = (await storage.WriteOneAsync(append.In())).MessageAppended;
        var again = (await storage.WriteOneAsync(append.In())).MessageAppended;
        var begun = (await storage.WriteOneAsync(Ask("session_001", Says("user", "next")).In())).TurnBegun;

        Assert.Equal((1L, "by hand", "m", 5, TurnStatus.Completed), (appended.Seq, appended.Content.Content, appended.Model, appended.Tokens, appended.Status));
        Assert.Equal(appended, again);
        Assert.Equal(["by hand"], begun.History.Select(message => message.Content));
    }

    [Fact]
    public async Task SomebodyElsesSession_IsNoSession()
    {
        await using var storage = await StorageFixture.StartAsync();
        var alices = AskNew(NewId(), "alice", Says("user", "secret"));
        await storage.WriteAsync(alices.In(Owner("alice")));
        var before = await storage.ListAsync(alices.SessionId);
        var mallory = Owner("mallory");

        var results = await storage.WriteAsync(
            Ask(alices.SessionId, Says("user", "x")).In(mallory),
            AskNew(alices.SessionId, "mallory", Says("user", "x")).In(mallory),
            alices.SoFar("x").In(mallory),
            alices.Answered("x").In(mallory),
            Append(alices.SessionId, Says("user", "x")).In(mallory));
        var unknown = await storage.WriteOneAsync(Ask(NewId(), Says("user", "x")).In(mallory));

        Assert.All(results, result => Assert.Equal(unknown.Refusal, result.Refusal));
        Assert.Equal(Refusal.Types.Reason.SessionNotFound, unknown.Refusal.Reason);
        Assert.Equal(before, await storage.ListAsync(alices.SessionId));
    }

    [Fact]
    public async Task Refusals_NameTheField_AndDoNotDisturbTheOthers()
    {
        await using var storage = await StorageFixture.StartAsync();
        var good = AskNew(NewId(), "alice", Says("user", "one"));
        var noAnswerId = AskNew(NewId(), "alice", Says("user", "x"));
        noAnswerId.AnswerMessageId = "";
        var badRole = AskNew(NewId(), "alice", Says("robot", "x"));
        var badDigest = AskNew(NewId(), "alice", Says("user", "x"));
        badDigest.Input[0].Content.Digest = ByteString.CopyFromUtf8("short");
        var notEnding = good.Answered("x", TurnStatus.InProgress);
        var otherAnswer = good.Answered("x");
        otherAnswer.AnswerMessageId = NewId();
        var sameAnswerElsewhere = AskNew(NewId(), "alice", Says("user", "x"));
        sameAnswerElsewhere.AnswerMessageId = good.AnswerMessageId;

        var results = await storage.WriteAsync(
            good.In(),
            noAnswerId.In(),
            badRole.In(),
            badDigest.In(),
            AskNew(NewId(), "alice").In(),
            AskNew(NewId(), "alice", Says("user", "x")).In(Owner("bob")),
            new WriteCommand { AppendMessage = Append(good.SessionId, Says("user", "x")) },
            new WriteCommand { Scope = Everyone },
            notEnding.In(),
            otherAnswer.In());
        var elsewhere = await storage.WriteOneAsync(sameAnswerElsewhere.In());

        Assert.NotNull(results[0].TurnBegun);
        Assert.Equal(
            [
                "answer_message_id is empty",
                "input.content.role must be one of user, assistant, system, developer, tool, function",
                "input.content.digest must have 32 bytes",
                "input is empty",
                "new_session.user_id must be a user in the scope",
                "scope must name an owner, or everyone",
                "command is missing",
                "status must be one that ends a turn",
            ],
            results.Skip(1).Take(8).Select(result => result.Refusal.Detail));
        Assert.All(results.Skip(1).Take(8), result => Assert.Equal(Refusal.Types.Reason.Invalid, result.Refusal.Reason));
        Assert.Equal(Refusal.Types.Reason.MessageNotFound, results[9].Refusal.Reason);
        Assert.Equal(Refusal.Types.Reason.Invalid, elsewhere.Refusal.Reason);
    }

    [Fact]
    public async Task LongConversation_IsReadQuickly()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("user", "start"));
        await storage.WriteAsync(first.In(), first.Answered("0").In());
        for (var i = 0; i < 10; i++)
        {
            await storage.WriteAsync([.. Enumerable.Range(0, 1000).Select(j => Append(first.SessionId, Says("user", $"{i} {j}")).In())]);
        }

        var started = TimeProvider.System.GetTimestamp();
        var begun = (await storage.WriteOneAsync(Ask(first.SessionId, Says("user", "end")).In())).TurnBegun;
        var elapsed = TimeProvider.System.GetElapsedTime(started);

        Assert.Equal(10_002, begun.History.Count);
        Assert.Equal("9 999", begun.History[^1].Content);
        Assert.True(elapsed < TimeSpan.FromSeconds(2), $"took {elapsed}");
    }

    private static MessageContent WithoutDigest(MessageContent content)
    {
        var clone = content.Clone();
        clone.Digest = ByteString.Empty;
        return clone;
    }
}
