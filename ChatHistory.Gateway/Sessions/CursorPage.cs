using System.Buffers;
using System.Globalization;
using System.Text.Json;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Sessions;

/// <summary>
/// OpenAI's lists: <c>{"object":"list","data":[...],"first_id":"...","last_id":"...","has_more":false}</c>. The SDKs read on from the last
/// one's id, and each looks for it elsewhere: in <c>data</c>, in <c>last_id</c>; an empty page has empty ids.
/// </summary>
internal static class CursorPage
{
    public const int DefaultLimit = 20;
    public const int MaxLimit = 100;

    public static int LimitOf(HttpRequest request)
    {
        var text = request.Query["limit"].ToString();
        return text.Length == 0 ? DefaultLimit
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is >= 1 and <= MaxLimit ? limit
            : throw new OpenAIErrorException(OpenAIError.InvalidRequest($"limit is '{text}'; it must be a whole number from 1 to {MaxLimit}.", "limit"));
    }

    public static OpenAIErrorException Unknown(string cursor, string what, string param = "after") =>
        new(OpenAIError.InvalidRequest($"{param} is '{cursor}'; it must be the id of {what}.", param));

    public static IResult Json<T>(IReadOnlyList<T> items, Func<T, string> idOf, Action<Utf8JsonWriter, T> write, bool hasMore)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            writer.WriteStartObject();
            writer.WriteString("object", "list");
            writer.WriteStartArray("data");
            foreach (var item in items)
            {
                write(writer, item);
            }

            writer.WriteEndArray();
            writer.WriteString("first_id", items.Count > 0 ? idOf(items[0]) : "");
            writer.WriteString("last_id", items.Count > 0 ? idOf(items[^1]) : "");
            writer.WriteBoolean("has_more", hasMore);
            writer.WriteEndObject();
        }

        return Results.Bytes(buffer.WrittenMemory, "application/json");
    }
}
