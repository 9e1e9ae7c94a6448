using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>
/// The content of a message as the model reads it: UTF-8 text. Parts are joined by line feeds, and a part that is no text
/// leaves a placeholder, as vLLM's chat templates do it: <c>&lt;image_url&gt;</c>.
/// </summary>
internal sealed record MessageContent(ReadOnlyMemory<byte> Text);

/// <summary>
/// Reads <c>"text"</c> and <c>[{"type":"text","text":"…"},{"type":"image_url",…}]</c>. Written by hand because text goes from the
/// body to UTF-8 without becoming a string: histories are long, and only their bytes are counted and hashed.
/// </summary>
internal sealed class MessageContentConverter : JsonConverter<MessageContent>
{
    public override MessageContent Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType is JsonTokenType.String)
        {
            return new(ReadString(ref reader));
        }

        if (reader.TokenType is not JsonTokenType.StartArray)
        {
            throw new JsonException();
        }

        var text = new ArrayBufferWriter<byte>();
        while (reader.Read() && reader.TokenType is not JsonTokenType.EndArray)
        {
            if (text.WrittenCount > 0)
            {
                text.Write("\n"u8);
            }

            ReadPart(ref reader, text);
        }

        return new(text.WrittenMemory);
    }

    public override void Write(Utf8JsonWriter writer, MessageContent value, JsonSerializerOptions options) => writer.WriteStringValue(value.Text.Span);

    private static void ReadPart(ref Utf8JsonReader reader, ArrayBufferWriter<byte> text)
    {
        if (reader.TokenType is JsonTokenType.String)
        {
            text.Write(ReadString(ref reader));
            return;
        }

        if (reader.TokenType is not JsonTokenType.StartObject)
        {
            throw new JsonException();
        }

        byte[]? type = null;
        byte[]? partText = null;
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var (isType, isText) = (reader.ValueTextEquals("type"u8), reader.ValueTextEquals("text"u8));
            reader.Read();
            if (reader.TokenType is JsonTokenType.String && (isType || isText))
            {
                var value = ReadString(ref reader);
                (type, partText) = isType ? (value, partText) : (type, value);
            }
            else
            {
                reader.Skip();
            }
        }

        if (partText is not null)
        {
            text.Write(partText);
            return;
        }

        if (type is null)
        {
            throw new JsonException();
        }

        text.Write([(byte)'<', .. type, (byte)'>']);
    }

    private static byte[] ReadString(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped && !reader.HasValueSequence)
        {
            return reader.ValueSpan.ToArray();
        }

        // Unescaped text is never longer than its escaped form.
        var unescaped = new byte[reader.HasValueSequence ? checked((int)reader.ValueSequence.Length) : reader.ValueSpan.Length];
        try
        {
            return unescaped[..reader.CopyString(unescaped)];
        }
        catch (InvalidOperationException exception)
        {
            // Half a surrogate pair, or bytes that are no UTF-8.
            throw new JsonException(null, exception);
        }
    }
}
