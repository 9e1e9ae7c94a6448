using System.Text;
using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Messages;

/// <summary>
/// One message between OpenAI's wire and the contract with storage. Nothing is lost on the way: what has no field of its own goes to
/// <c>extra</c> and comes back when the message is replayed to the model.
/// </summary>
internal static class WireMessage
{
    private static readonly string[] s_roles = ["user", "assistant", "system", "developer", "tool", "function"];

    /// <summary>Reads a message.</summary>
    /// <param name="message">The JSON object.</param>
    /// <param name="path">Where it stands in the request, for error texts, e.g. <c>messages[2]</c>; empty for a whole body.</param>
    /// <param name="defaultRole">The role of a message that names none; null makes that an error.</param>
    /// <param name="ignored">Members that belong to the request around the message, not to the message.</param>
    /// <exception cref="OpenAIErrorException">The message has no form that a model could be sent.</exception>
    public static MessageContent Parse(JsonElement message, string path, string? defaultRole = null, params ReadOnlySpan<string> ignored)
    {
        if (message.ValueKind != JsonValueKind.Object)
        {
            throw Invalid(path, "must be an object with 'role' and 'content'");
        }

        var parsed = new MessageContent();
        Dictionary<string, JsonElement>? extra = null;
        foreach (var member in message.EnumerateObject())
        {
            var value = member.Value;
            switch (member.Name)
            {
                case "role":
                    parsed.Role = Role(value, Member(path, "role"));
                    break;
                case "content":
                    ReadContent(parsed, value, Member(path, "content"));
                    break;
                case var name when ignored.Contains(name) || value.ValueKind == JsonValueKind.Null:
                    break;
                case "tool_calls":
                    ReadToolCalls(parsed, value, Member(path, "tool_calls"));
                    break;
                case "tool_call_id":
                    parsed.ToolCallId = Text(value, Member(path, "tool_call_id"));
                    break;
                case "name":
                    parsed.Name = Text(value, Member(path, "name"));
                    break;
                // vLLM writes either name, depending on its version.
                case "reasoning_content" or "reasoning" when value.ValueKind == JsonValueKind.String:
                    parsed.Reasoning = value.GetString()!;
                    break;
                default:
                    (extra ??= [])[member.Name] = value;
                    break;
            }
        }

        if (parsed.Role.Length == 0)
        {
            parsed.Role = defaultRole ?? throw Invalid(Member(path, "role"), $"is missing; it must be one of {string.Join(", ", s_roles)}");
        }

        if (extra is not null)
        {
            parsed.Extra = JsonSerializer.Serialize(extra, MessagesJsonContext.Wire.DictionaryStringJsonElement);
        }

        parsed.Digest = MessageDigest.Of(parsed);
        return parsed;
    }

    /// <summary>Writes a stored message as the client or the model once sent it.</summary>
    public static void Write(Utf8JsonWriter writer, MessageContent message)
    {
        writer.WriteStartObject();
        writer.WriteString("role", message.Role);
        if (message.HasContentParts)
        {
            writer.WritePropertyName("content");
            writer.WriteRawValue(message.ContentParts);
        }
        else if (message.Content.Length == 0 && message.HasToolCalls)
        {
            // Some chat templates print an empty string before the call.
            writer.WriteNull("content");
        }
        else
        {
            writer.WriteString("content", message.Content);
        }

        if (message.HasName)
        {
            writer.WriteString("name", message.Name);
        }

        if (message.HasToolCallId)
        {
            writer.WriteString("tool_call_id", message.ToolCallId);
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

        if (message.HasExtra)
        {
            using var extra = JsonDocument.Parse(message.Extra);
            foreach (var member in extra.RootElement.EnumerateObject())
            {
                member.WriteTo(writer);
            }
        }

        writer.WriteEndObject();
    }

    private static string Role(JsonElement value, string path)
    {
        var role = Text(value, path);
        return s_roles.Contains(role) ? role : throw Invalid(path, $"is '{role}'; it must be one of {string.Join(", ", s_roles)}");
    }

    private static void ReadContent(MessageContent parsed, JsonElement value, string path)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                break;
            case JsonValueKind.String:
                parsed.Content = value.GetString()!;
                break;
            case JsonValueKind.Array:
                parsed.ContentParts = value.GetRawText();
                parsed.Content = TextOf(value, path);
                break;
            default:
                throw Invalid(path, "must be a string, an array of parts, or null");
        }
    }

    private static string TextOf(JsonElement parts, string path)
    {
        var text = new StringBuilder();
        var index = 0;
        foreach (var part in parts.EnumerateArray())
        {
            if (part.ValueKind is not (JsonValueKind.Object or JsonValueKind.String))
            {
                throw Invalid($"{path}[{index}]", "must be a content part, e.g. {\"type\":\"text\",\"text\":\"...\"}");
            }

            var value = part.ValueKind == JsonValueKind.String ? part : part.TryGetProperty("text", out var member) ? member : default;
            if (value.ValueKind == JsonValueKind.String)
            {
                text.Append(text.Length > 0 ? "\n" : "").Append(value.GetString());
            }

            index++;
        }

        return text.ToString();
    }

    private static void ReadToolCalls(MessageContent parsed, JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            throw Invalid(path, "must be an array");
        }

        // vLLM answers an empty array where there are no calls.
        if (value.GetArrayLength() > 0)
        {
            parsed.ToolCalls = value.GetRawText();
        }
    }

    private static string Text(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Invalid(path, "must be a string");

    private static string Member(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    private static OpenAIErrorException Invalid(string path, string rule) =>
        new(OpenAIError.InvalidRequest($"{(path.Length == 0 ? "The body" : path)} {rule}.", path.Length == 0 ? null : path));
}
