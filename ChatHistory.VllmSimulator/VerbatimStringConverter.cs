using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.Streaming;

namespace ChatHistory.VllmSimulator;

/// <summary>
/// Writes strings as <see cref="JsonText"/> does. Even the relaxed encoder of System.Text.Json turns every emoji into two escapes;
/// vLLM sends it as it is, and a streamed and a whole answer should not differ.
/// </summary>
internal sealed class VerbatimStringConverter : JsonConverter<string>
{
    public override string? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType is JsonTokenType.String ? reader.GetString() : throw new JsonException();

    public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options)
    {
        var json = new ArrayBufferWriter<byte>(value.Length + 16);
        json.WriteString(value);
        writer.WriteRawValue(json.WrittenSpan, skipInputValidation: true);
    }

    public override string ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetString()!;

    public override void WriteAsPropertyName(Utf8JsonWriter writer, string value, JsonSerializerOptions options) => writer.WritePropertyName(value);
}
