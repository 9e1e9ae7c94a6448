using System.Text;
using ChatHistory.Gateway.Relay;

namespace ChatHistory.Tests.Gateway;

/// <summary>What is gathered of an answer as it passes.</summary>
public sealed class CompletionObserverTests
{
    [Fact]
    public void ToolCalls_AreJoinedByIndex()
    {
        var observer = Observe(
            """{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]}}]}""",
            """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"time","arguments":"{}"}}]}}]}""",
            """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}}]}""",
            """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"北京\"}"}}]}}]}""",
            """{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}""",
            """{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}}""");

        var answer = observer.Choices.Single();
        Assert.Equal(
            """[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"北京\"}"}},{"id":"call_2","type":"function","function":{"name":"time","arguments":"{}"}}]""",
            answer.ToMessage().ToolCalls);
        Assert.Equal(("tool_calls", true, 7, 9, "c", "m"), (answer.FinishReason, observer.Finished, observer.PromptTokens, observer.CompletionTokens, observer.CompletionId, observer.Model));
    }

    [Fact]
    public void ReasoningAndRefusal_AreKeptApartFromTheText()
    {
        var observer = Observe(
            """{"choices":[{"index":0,"delta":{"reasoning_content":"let me "}}]}""",
            """{"choices":[{"index":0,"delta":{"reasoning":"think"}}]}""",
            """{"choices":[{"index":0,"delta":{"content":"yes","refusal":"no"},"finish_reason":"stop"}]}""");

        var message = observer.Choices.Single().ToMessage();
        Assert.Equal(("yes", "let me think", """{"refusal":"no"}"""), (message.Content, message.Reasoning, message.Extra));
    }

    [Fact]
    public void Finished_WaitsForEveryChoiceThatWasAskedFor()
    {
        var observer = new CompletionObserver(choices: 2);

        observer.Observe("""{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"""u8);
        Assert.False(observer.Finished);
        observer.Observe("""{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"length"}]}"""u8);

        Assert.True(observer.Finished);
        Assert.Equal([("a", "stop"), ("b", "length")], observer.Choices.Select(choice => (choice.ToMessage().Content, choice.FinishReason!)));
    }

    [Fact]
    public void Passed_IsWhatTheClientMayHaveBeforeTheCommit()
    {
        var observer = Observe(
            """{"choices":[{"index":0,"delta":{"content":"one"}}]}""",
            """{"choices":[{"index":0,"delta":{"content":"two"}}]}""",
            """{"choices":[{"index":0,"delta":{"content":"three"}}]}""",
            """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""",
            """{"choices":[{"index":0,"delta":{"content":"held"}}]}""",
            """{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}}""");

        Assert.Equal((3, 5), (observer.Passed, observer.Chunks));
    }

    [Theory]
    [InlineData("""{"error":{"message":"boom","type":"BadRequestError","param":null,"code":400}}""", ChunkKind.Error)]
    [InlineData("[DONE]", ChunkKind.Done)]
    [InlineData("""{"choices":[],"usage":{"prompt_tokens":1}}""", ChunkKind.UsageOnly)]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"x"}}]}""", ChunkKind.Content)]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":{"unexpected":1}}}]}""", ChunkKind.Other)]
    [InlineData("""{"choices":"what"}""", ChunkKind.Other)]
    [InlineData("not json", ChunkKind.Other)]
    [InlineData("", ChunkKind.Other)]
    [InlineData("null", ChunkKind.Other)]
    internal void Observe_NamesTheKindAndNeverThrows(string data, ChunkKind kind) =>
        Assert.Equal(kind, new CompletionObserver(choices: 1).Observe(Encoding.UTF8.GetBytes(data)));

    private static CompletionObserver Observe(params string[] chunks)
    {
        var observer = new CompletionObserver(choices: 1);
        foreach (var chunk in chunks)
        {
            observer.Observe(Encoding.UTF8.GetBytes(chunk));
        }

        return observer;
    }
}
