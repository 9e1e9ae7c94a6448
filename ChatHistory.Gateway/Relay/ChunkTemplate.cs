using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;

namespace ChatHistory.Gateway.Relay;

/// <summary>
/// What the chunks of an answer have in common. Token after token a model server sends the same members, and one text is different: a chunk that begins and
/// ends as one that was read before is that one with another text, and need not be read as JSON again. Pure.
/// </summary>
/// <remarks>
/// <code>
/// {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"   Hello   "},"finish_reason":null}]}
/// ------------------------- head -------------------------|   text   |----------- tail ------------
/// </code>
/// A text that holds an escape, or anything that JSON does not allow in a string, is left to the JSON reader.
/// </remarks>
internal sealed class ChunkTemplate
{
    // choices [ choice { delta { "content": "..." } } ]
    private const int DepthOfText = 4;

    private static readonly SearchValues<byte> s_notPlain = SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(control => (byte)control), (byte)'"', (byte)'\\']);

    private readonly byte[] _head;
    private readonly byte[] _tail;

    private ChunkTemplate(ReadOnlySpan<byte> head, ReadOnlySpan<byte> tail, int choice, bool isReasoning) =>
        (_head, _tail, Choice, IsReasoning) = (head.ToArray(), tail.ToArray(), choice, isReasoning);

    /// <summary>Index of the choice that the text belongs to.</summary>
    public int Choice { get; }

    /// <summary>Whether it is reasoning, and not the answer itself.</summary>
    public bool IsReasoning { get; }

    /// <summary>Null: the chunk holds something else than one piece of text, so the next one may differ in more than that.</summary>
    /// <param name="data">The chunk.</param>
    /// <param name="chunk">The same, as it was read.</param>
    public static ChunkTemplate? Of(ReadOnlySpan<byte> data, ChatCompletionWire chunk)
    {
        if (chunk.Usage is not null
            || chunk.Choices is not [{ FinishReason: null, Message: null, Delta: { Refusal: null, ToolCalls: null } delta } choice]
            || (delta.Content ?? delta.ReasoningContent ?? delta.Reasoning) is null)
        {
            return null;
        }

        // The only text in such a place is the one that was read, whatever else the chunk holds.
        var texts = 0;
        var (start, end) = (0, 0);
        var reader = new Utf8JsonReader(data);
        while (reader.Read())
        {
            if (reader is { TokenType: JsonTokenType.PropertyName, ValueIsEscaped: true })
            {
                // Not every such name can be compared with one.
                return null;
            }

            if (reader.CurrentDepth == DepthOfText && reader.TokenType == JsonTokenType.PropertyName && IsText(reader) && reader.Read() && reader.TokenType == JsonTokenType.String)
            {
                texts++;
                (start, end) = ((int)reader.TokenStartIndex + 1, (int)reader.BytesConsumed - 1);
            }
        }

        return texts == 1 ? new ChunkTemplate(data[..start], data[end..], choice.Index, delta.Content is null) : null;
    }

    /// <summary>The text of a chunk that is like this one, in UTF-8.</summary>
    /// <returns>False: it is not, or its text is not as plain as that.</returns>
    public bool TryRead(ReadOnlySpan<byte> data, out ReadOnlySpan<byte> text)
    {
        if (!IsOf(data))
        {
            text = default;
            return false;
        }

        text = data[_head.Length..^_tail.Length];
        return !text.ContainsAny(s_notPlain) && Utf8.IsValid(text);
    }

    /// <summary>Whether a chunk begins and ends like this one.</summary>
    public bool IsOf(ReadOnlySpan<byte> data) => data.Length >= _head.Length + _tail.Length && data.StartsWith(_head) && data.EndsWith(_tail);

    private static bool IsText(in Utf8JsonReader name) => name.ValueTextEquals("content"u8) || name.ValueTextEquals("reasoning_content"u8) || name.ValueTextEquals("reasoning"u8);
}
