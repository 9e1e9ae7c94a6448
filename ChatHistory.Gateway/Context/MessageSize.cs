using System.Text;
using System.Text.Json;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Context;

/// <summary>
/// How many tokens a message has at most. A tokenizer that falls back to bytes, as those of all served models do, makes no more tokens than the
/// text has bytes of UTF-8; of digits and rare scripts it makes just as many, so a finer guess (English has four bytes a token) would be no bound.
/// </summary>
internal static class MessageSize
{
    // What a chat template writes around a message: <|im_start|>assistant\n ... <|im_end|>\n, or a tool call's frame.
    private const int AroundMessage = 32;

    // An image of a usual size, as the common vision models see it. No bound, but vLLM does not count images before it runs them.
    private const int OtherPart = 2048;

    public static long Of(MessageContent message) => OfText(message) + Uncounted(message);

    /// <summary>Without the parts that are no text.</summary>
    public static long OfText(MessageContent message) => AroundMessage + Bytes(message.Content) + Bytes(message.ToolCalls) + Bytes(message.Reasoning) + Bytes(message.Name);

    /// <summary>Tokens of the parts that are no text, which <c>/tokenize</c> counts as a placeholder only.</summary>
    public static int Uncounted(MessageContent message) => OtherPart * OtherParts(message);

    private static int Bytes(string text) => Encoding.UTF8.GetByteCount(text);

    private static int OtherParts(MessageContent message)
    {
        if (!message.HasContentParts)
        {
            return 0;
        }

        try
        {
            using var parts = JsonDocument.Parse(message.ContentParts);
            return parts.RootElement.ValueKind == JsonValueKind.Array ? parts.RootElement.EnumerateArray().Count(IsOther) : 0;
        }
        catch (JsonException)
        {
            return 0;
        }
    }

    private static bool IsOther(JsonElement part) =>
        part.ValueKind == JsonValueKind.Object && !(part.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String);
}
