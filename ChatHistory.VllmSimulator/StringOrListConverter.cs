using System.Text.Json;
using System.Text.Json.Serialization;

namespace ChatHistory.VllmSimulator;

/// <summary>Reads <c>"a"</c> as <c>["a"]</c>: the <c>stop</c> of completions and chat completions.</summary>
internal sealed class StringOrListConverter : JsonConverter<List<string>>
{
    public override List<string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType is JsonTokenType.String)
        {
            return [reader.GetString()!];
        }

        if (reader.TokenType is not JsonTokenType.StartArray)
        {
            throw new JsonException();
        }

        var values = new List<string>();
        while (reader.Read() && reader.TokenType is JsonTokenType.String)
        {
            values.Add(reader.GetString()!);
        }

        return reader.TokenType is JsonTokenType.EndArray ? values : throw new JsonException();
    }

    public override void Write(Utf8JsonWriter writer, List<string> value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (var item in value)
        {
            writer.WriteStringValue(item);
        }

        writer.WriteEndArray();
    }
}
