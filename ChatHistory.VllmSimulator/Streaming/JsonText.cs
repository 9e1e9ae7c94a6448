using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace ChatHistory.VllmSimulator.Streaming;

/// <summary>
/// Pieces of JSON written straight into a buffer. A stream has thousands of chunks that differ in one word, so they are put together
/// from ready UTF-8 instead of going through a serializer.
/// </summary>
internal static class JsonText
{
    // What serde_json (under pydantic) escapes: quote, backslash and control characters; everything else goes out as UTF-8.
    private static readonly SearchValues<byte> s_escaped = SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(value => (byte)value), (byte)'"', (byte)'\\']);

    public static void WriteString(this IBufferWriter<byte> json, ReadOnlySpan<byte> utf8)
    {
        json.Write("\""u8);
        while (true)
        {
            var plain = utf8.IndexOfAny(s_escaped);
            if (plain < 0)
            {
                json.Write(utf8);
                break;
            }

            json.Write(utf8[..plain]);
            json.WriteEscape(utf8[plain]);
            utf8 = utf8[(plain + 1)..];
        }

        json.Write("\""u8);
    }

    public static void WriteString(this IBufferWriter<byte> json, string text) => json.WriteString(Encoding.UTF8.GetBytes(text));

    public static void WriteStringOrNull(this IBufferWriter<byte> json, string? text)
    {
        if (text is null)
        {
            json.Write("null"u8);
        }
        else
        {
            json.WriteString(text);
        }
    }

    public static void WriteNumber(this IBufferWriter<byte> json, long number)
    {
        Utf8Formatter.TryFormat(number, json.GetSpan(20), out var written);
        json.Advance(written);
    }

    public static void WriteNumber(this IBufferWriter<byte> json, double number)
    {
        Utf8Formatter.TryFormat(number, json.GetSpan(32), out var written);
        json.Advance(written);
    }

    private static void WriteEscape(this IBufferWriter<byte> json, byte value)
    {
        switch (value)
        {
            case (byte)'"':
                json.Write("\\\""u8);
                break;
            case (byte)'\\':
                json.Write("\\\\"u8);
                break;
            case (byte)'\n':
                json.Write("\\n"u8);
                break;
            case (byte)'\r':
                json.Write("\\r"u8);
                break;
            case (byte)'\t':
                json.Write("\\t"u8);
                break;
            case (byte)'\b':
                json.Write("\\b"u8);
                break;
            case (byte)'\f':
                json.Write("\\f"u8);
                break;
            default:
                json.Write("\\u00"u8);
                Utf8Formatter.TryFormat(value, json.GetSpan(2), out var written, new StandardFormat('x', 2));
                json.Advance(written);
                break;
        }
    }
}
