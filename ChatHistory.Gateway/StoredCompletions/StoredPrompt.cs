using System.Text.Json;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.StoredCompletions;

/// <summary>
/// A message that a stored completion answered (openai-openapi, ChatCompletionMessageList): array content stands in <c>content_parts</c>, and
/// <c>content</c> is null then. <c>{"id":"chatcmpl-...-0","role":"user","content":"...","name":null,"content_parts":null,"refusal":null}</c>
/// </summary>
internal sealed record StoredPrompt(string Id, MessageContent Content)
{
    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("id", Id);
        writer.WriteString("role", Content.Role);
        if (Content.HasContentParts || (Content.Content.Length == 0 && Content.HasToolCalls))
        {
            writer.WriteNull("content");
        }
        else
        {
            writer.WriteString("content", Content.Content);
        }

        writer.WriteString("name", Content.HasName ? Content.Name : null);
        writer.WritePropertyName("content_parts");
        writer.WriteRawValue(Content.HasContentParts ? Content.ContentParts : "null");
        if (Content.HasToolCallId)
        {
            writer.WriteString("tool_call_id", Content.ToolCallId);
        }

        CompletionObject.WriteRest(writer, Content);
        writer.WriteEndObject();
    }
}
