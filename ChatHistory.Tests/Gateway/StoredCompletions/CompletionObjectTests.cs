using System.ClientModel.Primitives;
using System.Text.Json;
using ChatHistory.Gateway.StoredCompletions;
using ChatHistory.Storage.V1;
using Google.Protobuf.WellKnownTypes;
using OpenAI.Chat;

namespace ChatHistory.Tests.Gateway.StoredCompletions;

public sealed class CompletionObjectTests
{
    [Fact]
    public void Object_HasWhatTheMessagesHold()
    {
        var answer = Answer("Hello", TurnStatus.Completed);
        answer.FinishReason = "stop";
        answer.PromptTokens = 9;
        answer.Tokens = 3;
        answer.RequestId = "req-1";
        answer.Metadata = """{"a":"b"}""";
        answer.Request = EchoedRequest.Of(JsonElement.Parse(
            """{"model":"m","messages":[],"temperature":0.50,"seed":7,"user":"ada","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":null,"stream":true}"""));
        var other = Answer("Hi", TurnStatus.Incomplete);

        Assert.Equal(
            """
            {"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"m",
            "choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"},
            {"index":1,"message":{"role":"assistant","content":"Hi","refusal":null},"logprobs":null,"finish_reason":"length"}],
            "usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12},"request_id":"req-1","metadata":{"a":"b"},
            "temperature":0.50,"seed":7,"input_user":"ada","tools":[{"type":"function","function":{"name":"f"}}],"session_id":"s"}
            """.ReplaceLineEndings(""),
            Json(answer, other));
    }

    [Fact]
    public void Message_HasToolCallsReasoningAndRefusal()
    {
        var answer = Answer("", TurnStatus.Completed);
        answer.Content.ToolCalls = """[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]""";
        answer.Content.Reasoning = "hm";
        var refused = Answer("", TurnStatus.Completed);
        refused.Content.Extra = """{"refusal":"No.","annotations":[]}""";

        var choices = JsonElement.Parse(Json(answer, refused)).GetProperty("choices");

        Assert.Equal(
            """{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}],"reasoning_content":"hm"},"logprobs":null,"finish_reason":"tool_calls"}""",
            choices[0].GetRawText());
        Assert.Equal("""{"role":"assistant","content":null,"refusal":"No.","annotations":[]}""", choices[1].GetProperty("message").GetRawText());
    }

    [Fact]
    public void ToolsOfAResponse_AreThoseOfACompletion()
    {
        var answer = Answer("x", TurnStatus.Completed);
        answer.Request = """{"instructions":"Be brief","tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":null}]}""";

        var completion = JsonElement.Parse(Json(answer));

        Assert.Equal("""[{"type":"function","function":{"name":"f","parameters":{"type":"object"},"strict":null}}]""", completion.GetProperty("tools").GetRawText());
        Assert.False(completion.TryGetProperty("instructions", out _));
    }

    [Theory]
    [InlineData(TurnStatus.Cancelled)]
    [InlineData(TurnStatus.Failed)]
    [InlineData(TurnStatus.Interrupted)]
    [InlineData(TurnStatus.Completed)]
    public void OfficialClient_ReadsWhateverTheTurnCameTo(TurnStatus status)
    {
        var answer = Answer("partial", status);
        answer.CompletionId = "";
        answer.ClearCompletionId();

        var completion = ModelReaderWriter.Read<ChatCompletion>(BinaryData.FromString(Json(answer)))!;

        Assert.Equal(("chatcmpl-m1", "partial"), (completion.Id, completion.Content[0].Text));
        Assert.Equal(status == TurnStatus.Completed ? ChatFinishReason.Stop : ChatFinishReason.Length, completion.FinishReason);
    }

    private static string Json(params Message[] choices) => System.Text.Encoding.UTF8.GetString(CompletionObject.ToJson(choices).Span);

    private static Message Answer(string content, TurnStatus status) => new()
    {
        MessageId = "m1",
        SessionId = "s",
        Content = new MessageContent { Role = "assistant", Content = content },
        Status = status,
        Model = "m",
        CompletionId = "chatcmpl-1",
        CreatedAt = Timestamp.FromDateTimeOffset(DateTimeOffset.FromUnixTimeSeconds(1760000000)),
    };
}
