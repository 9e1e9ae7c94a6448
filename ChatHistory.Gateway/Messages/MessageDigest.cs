using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ChatHistory.Storage.V1;
using Google.Protobuf;

namespace ChatHistory.Gateway.Messages;

/// <summary>
/// SHA-256 of a message's canonical form: role, content, tool calls (id, name, arguments) and tool_call_id. Storage chains these digests, so
/// that a transcript is recognised by one look-up. What clients re-serialise without meaning anything by it does not count: a string or one
/// text part, key order, null members, names, reasoning, annotations, and the white space around an answer (reasoning models begin with two
/// line feeds; Open WebUI keeps what lies between).
/// </summary>
internal static class MessageDigest
{
    // A form that was longer is let go again.
    private const int MaxKept = 64 * 1024;

    // A turn has two messages at least, a transcript hundreds. Written each into memory of its own, their forms were a sixth of all that a turn allocates.
    [ThreadStatic]
    private static ArrayBufferWriter<byte>? t_form;

    [ThreadStatic]
    private static Utf8JsonWriter? t_writer;

    public static ByteString Of(MessageContent message)
    {
        var form = t_form ??= new ArrayBufferWriter<byte>(4096);
        var writer = t_writer ??= new Utf8JsonWriter(form, WireJson.Writer);
        form.ResetWrittenCount();
        writer.Reset(form);
        try
        {
            WriteForm(writer, message);
            writer.Flush();
            return UnsafeByteOperations.UnsafeWrap(SHA256.HashData(form.WrittenSpan));
        }
        finally
        {
            if (form.Capacity > MaxKept)
            {
                (t_form, t_writer) = (null, null);
            }
        }
    }

    private static void WriteForm(Utf8JsonWriter writer, MessageContent message)
    {
        writer.WriteStartArray();
        writer.WriteStringValue(message.Role);
        WriteContent(writer, message);
        if (message.HasToolCalls)
        {
            WriteToolCalls(writer, message.ToolCalls);
        }

        if (message.HasToolCallId)
        {
            writer.WriteStringValue(message.ToolCallId);
        }

        writer.WriteEndArray();
    }

    private static void WriteContent(Utf8JsonWriter writer, MessageContent message)
    {
        var text = message.Role == "assistant" ? message.Content.AsSpan().Trim() : message.Content;
        if (!message.HasContentParts)
        {
            writer.WriteStringValue(text);
            return;
        }

        using var parts = JsonDocument.Parse(message.ContentParts);
        if (parts.RootElement.GetArrayLength() == 1 && IsText(parts.RootElement[0]))
        {
            writer.WriteStringValue(text);
        }
        else
        {
            WriteSorted(writer, parts.RootElement);
        }
    }

    private static bool IsText(JsonElement part) =>
        part.ValueKind == JsonValueKind.String
        || (part.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("text"u8));

    private static void WriteToolCalls(Utf8JsonWriter writer, string toolCalls)
    {
        using var calls = JsonDocument.Parse(toolCalls);
        writer.WriteStartArray();
        foreach (var call in calls.RootElement.EnumerateArray())
        {
            if (call.ValueKind == JsonValueKind.Object && call.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object)
            {
                WriteMember(writer, call, "id");
                WriteMember(writer, function, "name");
                WriteArguments(writer, function);
            }
            else
            {
                WriteSorted(writer, call);
            }
        }

        writer.WriteEndArray();
    }

    // JSON inside a string: libraries that parse it write it anew, with other spaces and another order.
    private static void WriteArguments(Utf8JsonWriter writer, JsonElement function)
    {
        if (function.TryGetProperty("arguments", out var arguments) && arguments.ValueKind == JsonValueKind.String
            && Encoding.UTF8.GetBytes(arguments.GetString()!) is var json && !JsonBody.HasHalfACharacter(json))
        {
            try
            {
                using var parsed = JsonDocument.Parse(json);
                WriteSorted(writer, parsed.RootElement);
                return;
            }
            catch (JsonException)
            {
                // A model wrote no JSON: then the text counts.
            }
        }

        WriteMember(writer, function, "arguments");
    }

    private static void WriteMember(Utf8JsonWriter writer, JsonElement holder, string name)
    {
        if (holder.TryGetProperty(name, out var value))
        {
            WriteSorted(writer, value);
        }
        else
        {
            writer.WriteNullValue();
        }
    }

    private static void WriteSorted(Utf8JsonWriter writer, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in value.EnumerateObject().Where(member => member.Value.ValueKind != JsonValueKind.Null).OrderBy(member => member.Name, StringComparer.Ordinal))
                {
                    writer.WritePropertyName(member.Name);
                    WriteSorted(writer, member.Value);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in value.EnumerateArray())
                {
                    WriteSorted(writer, item);
                }

                writer.WriteEndArray();
                break;
            case JsonValueKind.String:
                // Through the string, so that "\u0061" and "a" are the same text.
                writer.WriteStringValue(value.GetString());
                break;
            default:
                writer.WriteRawValue(value.GetRawText());
                break;
        }
    }
}
