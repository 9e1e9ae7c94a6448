using System.Buffers;
using System.Text;

namespace ChatHistory.VllmSimulator.Tokenizer;

/// <summary>
/// A tokenizer without a vocabulary: deterministic, reversible, about as fine as a real one (some four characters a token in English,
/// two in Chinese). All counts of the simulator come from here.
/// </summary>
/// <remarks>
/// A token is the longest of these at the current place, never more than <see cref="MaxTokenBytes"/> bytes of UTF-8 and never a part
/// of a character: an optional single space and a run of word bytes (ASCII letters, digits, <c>_</c>, everything beyond ASCII);
/// a run of white space; a run of at most three other ASCII characters.
/// <code>
/// "You said: “hi”."  →  "You" " said" ":" " “hi" "”" "."
/// </code>
/// A token's id is its bytes as digits of a bijective number in base 257, so ids turn back into text without a table
/// and stay below 2^53, which JavaScript can hold.
/// </remarks>
internal static class SimulatorTokenizer
{
    public const int MaxTokenBytes = 6;

    private const int MaxPunctuation = 3;
    private const long IdBase = 257;

    // The id of six bytes 0xFF has the digit 256 six times.
    private const long MaxId = (IdBase * IdBase * IdBase * IdBase * IdBase * IdBase) - 1;

    private static readonly SearchValues<byte> s_space = SearchValues.Create(" \t\r\n"u8);

    /// <summary>How many bytes the first token of a text has; 0 only for an empty text.</summary>
    public static int NextTokenLength(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
        {
            return 0;
        }

        var limit = Math.Min(text.Length, MaxTokenBytes);
        var length = 1;
        if (IsWord(text[0]) || (text[0] == ' ' && limit > 1 && IsWord(text[1])))
        {
            while (length < limit && IsWord(text[length]))
            {
                length++;
            }

            return WholeCharacters(text, length);
        }

        if (s_space.Contains(text[0]))
        {
            while (length < limit && s_space.Contains(text[length]))
            {
                length++;
            }

            return length;
        }

        limit = Math.Min(limit, MaxPunctuation);
        while (length < limit && !IsWord(text[length]) && !s_space.Contains(text[length]))
        {
            length++;
        }

        return length;
    }

    public static int Count(ReadOnlySpan<byte> text)
    {
        var count = 0;
        while (!text.IsEmpty)
        {
            text = text[NextTokenLength(text)..];
            count++;
        }

        return count;
    }

    /// <summary>How many bytes the first <paramref name="tokens"/> tokens of a text have; all of it when it has no more.</summary>
    public static int LengthOf(ReadOnlySpan<byte> text, int tokens)
    {
        var length = 0;
        while (tokens-- > 0 && length < text.Length)
        {
            length += NextTokenLength(text[length..]);
        }

        return length;
    }

    public static void Encode(ReadOnlySpan<byte> text, List<long> ids)
    {
        while (!text.IsEmpty)
        {
            var length = NextTokenLength(text);
            ids.Add(IdOf(text[..length]));
            text = text[length..];
        }
    }

    public static long IdOf(ReadOnlySpan<byte> token)
    {
        var id = 0L;
        for (var i = token.Length - 1; i >= 0; i--)
        {
            id = (id * IdBase) + token[i] + 1;
        }

        return id;
    }

    /// <summary>Appends the bytes of a token to a text; false when no token has that id.</summary>
    public static bool TryDecode(long id, IBufferWriter<byte> text)
    {
        if (id is <= 0 or > MaxId)
        {
            return false;
        }

        var bytes = text.GetSpan(MaxTokenBytes);
        var length = 0;
        for (; id > 0; id /= IdBase)
        {
            var digit = id % IdBase;
            if (digit == 0)
            {
                return false;
            }

            bytes[length++] = (byte)(digit - 1);
        }

        text.Advance(length);
        return true;
    }

    /// <summary>The text of a list of ids, as far as they are tokens; else null.</summary>
    public static byte[]? Decode(IEnumerable<long> ids)
    {
        var text = new ArrayBufferWriter<byte>();
        return ids.All(id => TryDecode(id, text)) ? text.WrittenSpan.ToArray() : null;
    }

    public static string Text(ReadOnlySpan<byte> token) => Encoding.UTF8.GetString(token);

    private static bool IsWord(byte value) => value >= 0x80 || char.IsAsciiLetterOrDigit((char)value) || value == '_';

    /// <summary>Steps back out of a character that <paramref name="length"/> cuts. A character has at most 4 bytes, so something remains.</summary>
    private static int WholeCharacters(ReadOnlySpan<byte> text, int length)
    {
        var whole = length;
        while (whole < text.Length && whole > 0 && (text[whole] & 0xC0) == 0x80)
        {
            whole--;
        }

        // " " before a cut character would be left alone, and bytes that are no UTF-8 could leave nothing at all.
        return whole == 0 ? length : whole;
    }
}
