using ChatHistory.Gateway.Context;
using ChatHistory.Storage.V1;
using CsCheck;

namespace ChatHistory.Tests.Gateway.Context;

/// <summary>Whatever was stored, what is sent satisfies the chat rule; and what satisfies it is sent as it is.</summary>
public sealed class ReplayRepairTests
{
    private static readonly Gen<string> s_id = Gen.OneOf("a", "b", "c", "");

    private static readonly Gen<string> s_call = Gen.OneOf(
        Gen.Select(s_id, Gen.OneOf("""{}""", """{\"city\":\"Oslo\"}""", "", """{\"city\":\"Os""", "[1]", "null", "5", """{\"x\":\"\\ud800\"}"""))
            .Select((id, arguments) => $$$"""{"id":"{{{id}}}","type":"function","function":{"name":"f","arguments":"{{{arguments}}}"}}"""),
        s_id.Select(id => $$$"""{"id":"{{{id}}}","function":{"name":"f","arguments":{"city":"Oslo"} }}"""),
        Gen.OneOf(
            """{"type":"function","function":{"name":"f"}}""", """{"id":null,"type":"function","function":{"name":"f","arguments":17}}""",
            """{"id":"a","type":"function","function":{"arguments":"{}"}}""", """{"id":"a","type":"function"}""", """"no call"""", "null", "{}"));

    private static readonly Gen<MessageContent> s_message = Gen.OneOf(
        Gen.OneOf("user", "system", "developer", "assistant", "function").Select(role => new MessageContent { Role = role, Content = "text" }),
        Gen.OneOf("user", "assistant").Select(role => new MessageContent { Role = role, Content = "text", ContentParts = "not json" }),
        s_id.Select(id => new MessageContent { Role = "tool", Content = "result", ToolCallId = id }),
        Gen.Const(0).Select(_ => new MessageContent { Role = "tool", Content = "result", Extra = "[]" }),
        Gen.OneOf("not json", "{}", "[]").Select(calls => new MessageContent { Role = "assistant", ToolCalls = calls }),
        s_call.Array[1, 3].Select(calls => new MessageContent { Role = "assistant", ToolCalls = $"[{string.Join(',', calls)}]" }));

    // Turns as they should be: each with some tool calls that are answered, in any order.
    private static readonly Gen<MessageContent[]> s_turn = Gen.Select(Gen.Shuffle("abcd".ToCharArray(), 0, 4), Gen.Int[0, 1000]).Select((ids, salt) =>
        (MessageContent[])[
            new() { Role = "user", Content = $"question {salt}", ContentParts = """[{"type":"text","text":"question"}]""" },
            .. ids.Length == 0 ? Array.Empty<MessageContent>() : [new() { Role = "assistant", ToolCalls = $"[{string.Join(',', ids.Order().Select(id => Call(id.ToString())))}]" }],
            .. ids.Select(id => new MessageContent { Role = "tool", ToolCallId = id.ToString(), Content = "result" }),
            new() { Role = "assistant", Content = "answer", Extra = """{"refusal":null}""" },
        ]);

    [Fact]
    public void AnyList_SatisfiesTheChatRuleAfterwards() => s_message.Array[0, 12].Sample(messages =>
    {
        var repaired = ReplayRepair.Repair(messages);

        Assert.Null(ChatRule.Violation(repaired.Messages));
        // Nothing but results, and what cannot be read, is left out or moved.
        Assert.Equal(
            messages.Where(message => message.Role != "tool").Select(message => (message.Role, message.Content)),
            repaired.Messages.Where(message => message.Role != "tool").Select(message => (message.Role, message.Content)));
        Assert.Equal(repaired.Fixes.Count > 0, !messages.SequenceEqual(repaired.Messages, ReferenceEqualityComparer.Instance));
    });

    [Fact]
    public void RepairedList_IsNotRepairedAgain() => s_message.Array[0, 12].Sample(messages =>
    {
        var once = ReplayRepair.Repair(messages).Messages;
        var twice = ReplayRepair.Repair(once);

        Assert.Empty(twice.Fixes);
        Assert.Equal(once, twice.Messages, ReferenceEqualityComparer.Instance);
    });

    [Fact]
    public void GoodList_IsUnchanged() => s_turn.Array[0, 5].Sample(turns =>
    {
        var messages = turns.SelectMany(turn => turn).ToArray();
        var repaired = ReplayRepair.Repair(messages);

        Assert.Null(ChatRule.Violation(messages));
        Assert.Empty(repaired.Fixes);
        Assert.Equal(messages, repaired.Messages, ReferenceEqualityComparer.Instance);
    });

    [Fact]
    public void ResultsOfTheRequest_AnswerTheLastStoredCalls()
    {
        var repaired = ReplayRepair.Repair([User(), Calls("a", "b"), Result("b", "of b"), User()]);

        Assert.Equal(["user:", "assistant:", "tool:of b", $"tool:{ReplayRepair.NoResult}", "user:"], repaired.Messages.Select(Shown));
        Assert.Equal([new ReplayFix(ReplayFixKind.MissingResult, "a")], repaired.Fixes);
    }

    [Fact]
    public void LateEarlyAndSecondResults_GoWhereTheyBelong()
    {
        var repaired = ReplayRepair.Repair(
            [Result("early", "1"), User(), Calls("early"), Calls("late"), User(), Result("late", "2"), Result("late", "3"), Result("nobody", "4")]);

        Assert.Equal(["user:", "assistant:", "tool:1", "assistant:", "tool:2", "user:"], repaired.Messages.Select(Shown));
        Assert.Equal(
            [
                new(ReplayFixKind.MovedResult, "late"), new(ReplayFixKind.DuplicateResult, "late"), new ReplayFix(ReplayFixKind.MovedResult, "early"),
                new(ReplayFixKind.OrphanResult, "nobody"),
            ],
            repaired.Fixes);
    }

    [Fact]
    public void IdThatIsUsedAgain_BelongsToTheNearestCallAbove()
    {
        MessageContent[] messages = [User(), Calls("call_0"), Result("call_0", "1"), Calls("call_0"), Result("call_0", "2")];

        Assert.Empty(ReplayRepair.Repair(messages).Fixes);
    }

    [Fact]
    public void HalfWrittenArguments_ReachTheModelAsText()
    {
        var calls = """[{"id":"a","type":"function","function":{"name":"write","arguments":"{\"contents\": \"half a f"}}]""";

        var repaired = ReplayRepair.Repair([new() { Role = "assistant", ToolCalls = calls }, Result("a", "failed")]);

        Assert.Equal(
            """[{"id":"a","type":"function","function":{"name":"write","arguments":"{\"unreadable\":\"{\\\"contents\\\": \\\"half a f\"}"}}]""",
            repaired.Messages[0].ToolCalls);
        Assert.Equal([new ReplayFix(ReplayFixKind.UnreadableArguments, "a")], repaired.Fixes);
    }

    [Fact]
    public void CallAndResultWithoutAnId_GetOne()
    {
        var calls = """[{"function":{"name":"f","arguments":"{}"}},{"id":"x","type":"function","function":{"name":"g"}}]""";

        var repaired = ReplayRepair.Repair([new() { Role = "assistant", ToolCalls = calls }, new() { Role = "tool", Content = "of f" }, new() { Role = "tool", Content = "of g" }]);

        Assert.Equal(["call_1", "x"], repaired.Messages.Skip(1).Select(message => message.ToolCallId));
        Assert.Equal(["assistant:", "tool:of f", "tool:of g"], repaired.Messages.Select(Shown));
    }

    private static MessageContent User() => new() { Role = "user" };

    private static MessageContent Calls(params string[] ids) => new() { Role = "assistant", ToolCalls = $"[{string.Join(',', ids.Select(Call))}]" };

    private static MessageContent Result(string id, string content) => new() { Role = "tool", ToolCallId = id, Content = content };

    private static string Call(string id) => $$$"""{"id":"{{{id}}}","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}""";

    private static string Shown(MessageContent message) => $"{message.Role}:{message.Content}";
}
