using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.Generation;

/// <summary>Text of any length in tokens, for <c>simulator.tokens</c> and for endless answers.</summary>
internal static class Filler
{
    // Each word with its space is exactly one token.
    private static readonly byte[] s_text = " alpha bravo delta echo golf hotel india kilo lima mike oscar papa romeo tango zulu and"u8.ToArray();

    private static readonly int s_tokens = SimulatorTokenizer.Count(s_text);

    public static ReadOnlyMemory<byte> Text => s_text;

    /// <summary>A text of exactly so many tokens that begins as <paramref name="text"/> does: cut, or continued with filler words.</summary>
    public static ReadOnlyMemory<byte> Resize(ReadOnlyMemory<byte> text, int tokens)
    {
        var count = SimulatorTokenizer.Count(text.Span);
        if (count < tokens)
        {
            // Trailing white space would swallow the first filler word's space and make one token of two.
            text = text[..(text.Span.LastIndexOfAnyExcept(" \t\r\n"u8) + 1)];
            count = SimulatorTokenizer.Count(text.Span);
        }

        var missing = tokens - count;
        if (missing <= 0)
        {
            return text[..SimulatorTokenizer.LengthOf(text.Span, tokens)];
        }

        var whole = Math.DivRem(missing, s_tokens, out var rest);
        var tail = SimulatorTokenizer.LengthOf(s_text, rest);
        var resized = new byte[text.Length + (whole * s_text.Length) + tail];
        text.Span.CopyTo(resized);
        var target = resized.AsSpan(text.Length);
        for (; whole > 0; whole--)
        {
            s_text.CopyTo(target);
            target = target[s_text.Length..];
        }

        s_text.AsSpan(0, tail).CopyTo(target);
        return resized;
    }
}
