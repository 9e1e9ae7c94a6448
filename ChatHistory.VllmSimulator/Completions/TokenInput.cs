using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.Completions;

/// <summary>
/// One or several texts, given as text or as token ids: the <c>prompt</c> of completions and the <c>input</c> of embeddings.
/// <code>"a"   ["a","b"]   [1,2,3]   [[1,2],[3]]</code>
/// </summary>
internal sealed record TokenInput(IReadOnlyList<byte[]> Texts);

internal sealed class TokenInputConverter : JsonConverter<TokenInput>
{
    public override TokenInput Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var element = JsonElement.ParseValue(ref reader);
        return element.ValueKind switch
        {
            JsonValueKind.String => new([Text(element)]),
            JsonValueKind.Array when element.GetArrayLength() == 0 => new([]),
            JsonValueKind.Array when element[0].ValueKind is JsonValueKind.Number => new([Tokens(element)]),
            JsonValueKind.Array => new([.. element.EnumerateArray().Select(item => item.ValueKind switch
            {
                JsonValueKind.String => Text(item),
                JsonValueKind.Array => Tokens(item),
                _ => throw new JsonException(),
            })]),
            _ => throw new JsonException(),
        };
    }

    public override void Write(Utf8JsonWriter writer, TokenInput value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (var text in value.Texts)
        {
            writer.WriteStringValue(text);
        }

        writer.WriteEndArray();
    }

    private static byte[] Text(JsonElement text) => Encoding.UTF8.GetBytes(text.GetString()!);

    private static byte[] Tokens(JsonElement ids) =>
        SimulatorTokenizer.Decode(ids.EnumerateArray().Select(id => id.TryGetInt64(out var number) ? number : -1)) ?? throw new JsonException();
}
