using System.Buffers;
using System.Text.Json;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.StoredCompletions;

/// <summary>
/// A stored answer as OpenAI's <c>chat.completion</c>, made of its messages alone (openai-openapi, CreateChatCompletionResponse, and what stored
/// ones have besides). Pure.
/// <code>
/// {"id":"chatcmpl-...","object":"chat.completion","created":1760000000,"model":"...",
///  "choices":[{"index":0,"message":{"role":"assistant","content":"...","refusal":null},"logprobs":null,"finish_reason":"stop"}],
///  "usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12},"request_id":"...","metadata":{},"session_id":"..."}
/// </code>
/// </summary>
internal static class CompletionObject
{
    /// <summary>The id of the completion that an answer belongs to: the model server's, or one of ours where that gave none.</summary>
    public static string IdOf(Message answer) => answer.HasCompletionId ? answer.CompletionId : $"chatcmpl-{answer.MessageId}";

    /// <param name="choices">The answer, and its alternatives in their order.</param>
    /// <param name="withSession">With <c>session_id</c>; without, it is the body as the model server gave it.</param>
    public static ReadOnlyMemory<byte> ToJson(IReadOnlyList<Message> choices, bool withSession = true)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            Write(writer, choices, withSession);
        }

        return buffer.WrittenMemory;
    }

    /// <param name="writer">Where a value is expected.</param>
    /// <param name="choices">The answer, and its alternatives in their order.</param>
    /// <param name="withSession">With <c>session_id</c>.</param>
    public static void Write(Utf8JsonWriter writer, IReadOnlyList<Message> choices, bool withSession = true)
    {
        var answer = choices[0];
        writer.WriteStartObject();
        writer.WriteString("id", IdOf(answer));
        writer.WriteString("object", "chat.completion");
        writer.WriteNumber("created", answer.CreatedAt.Seconds);
        writer.WriteString("model", answer.HasModel ? answer.Model : "");
        writer.WriteStartArray("choices");
        for (var i = 0; i < choices.Count; i++)
        {
            WriteChoice(writer, i, choices[i]);
        }

        writer.WriteEndArray();
        if (answer.HasPromptTokens)
        {
            var completionTokens = choices.Sum(choice => choice.Tokens);
            writer.WriteStartObject("usage");
            writer.WriteNumber("prompt_tokens", answer.PromptTokens);
            writer.WriteNumber("completion_tokens", completionTokens);
            writer.WriteNumber("total_tokens", answer.PromptTokens + completionTokens);
            writer.WriteEndObject();
        }

        if (answer.HasRequestId)
        {
            writer.WriteString("request_id", answer.RequestId);
        }

        writer.WritePropertyName("metadata");
        writer.WriteRawValue(answer.HasMetadata ? answer.Metadata : "{}");
        if (answer.HasRequest)
        {
            EchoedRequest.Write(writer, answer.Request);
        }

        if (withSession)
        {
            writer.WriteString("session_id", answer.SessionId);
        }

        writer.WriteEndObject();
    }

    private static void WriteChoice(Utf8JsonWriter writer, int index, Message choice)
    {
        writer.WriteStartObject();
        writer.WriteNumber("index", index);
        writer.WritePropertyName("message");
        WriteMessage(writer, choice.Content);
        writer.WriteNull("logprobs");
        writer.WriteString("finish_reason", FinishReasonOf(choice));
        writer.WriteEndObject();
    }

    // Clients know no other reasons than OpenAI's. An answer that was cut, whatever by, is one that its limit cut.
    private static string FinishReasonOf(Message choice) => choice switch
    {
        { HasFinishReason: true } => choice.FinishReason,
        { Status: TurnStatus.Completed, Content.HasToolCalls: true } => "tool_calls",
        { Status: TurnStatus.Completed } => "stop",
        _ => "length",
    };

    private static void WriteMessage(Utf8JsonWriter writer, MessageContent message)
    {
        writer.WriteStartObject();
        writer.WriteString("role", message.Role);
        if (message.Content.Length == 0 && (message.HasToolCalls || message.HasExtra))
        {
            writer.WriteNull("content");
        }
        else
        {
            writer.WriteString("content", message.Content);
        }

        WriteRest(writer, message);
        writer.WriteEndObject();
    }

    /// <summary>Everything of a message but its role and content. A refusal is always said, if only as null.</summary>
    public static void WriteRest(Utf8JsonWriter writer, MessageContent message)
    {
        using var extra = message.HasExtra ? JsonDocument.Parse(message.Extra) : null;
        if (extra is null || !extra.RootElement.TryGetProperty("refusal", out _))
        {
            writer.WriteNull("refusal");
        }

        if (message.HasToolCalls)
        {
            writer.WritePropertyName("tool_calls");
            writer.WriteRawValue(message.ToolCalls);
        }

        if (message.HasReasoning)
        {
            writer.WriteString("reasoning_content", message.Reasoning);
        }

        foreach (var member in extra?.RootElement.EnumerateObject() ?? default)
        {
            member.WriteTo(writer);
        }
    }
}
