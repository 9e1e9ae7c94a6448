using System.Buffers;

namespace ChatHistory.Gateway.Relay;

/// <summary>
/// Cuts a server-sent event stream into frames, and reads a frame's data. Pure: bytes in, bytes out.
/// </summary>
/// <remarks>
/// A frame is what lies between two blank lines, with the blank line, e.g. <c>data: {"id":...}\n\n</c>. Lines end in LF or CRLF. (The
/// standard also allows a lone CR; no model server sends it, and at the end of what has arrived it cannot be told from half a CRLF.)
/// </remarks>
internal static class SseFrames
{
    /// <summary>Takes the first whole frame off the buffer.</summary>
    /// <param name="scanned">So many bytes of the buffer were looked through in vain before: a line of megabytes is not read from its beginning each time that more of it comes.</param>
    /// <returns>False when no frame is complete yet; the buffer is then unchanged.</returns>
    public static bool TryRead(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> frame, long scanned = 0)
    {
        var reader = new SequenceReader<byte>(buffer);
        // The blank line may have begun there: "\n\r" has come, and "\n" comes now.
        reader.Advance(Math.Max(0, scanned - 2));
        while (reader.TryAdvanceTo((byte)'\n'))
        {
            // A blank line: the line end just passed, followed by another one.
            if (reader.IsNext((byte)'\n', advancePast: true) || reader.IsNext("\r\n"u8, advancePast: true))
            {
                frame = buffer.Slice(0, reader.Position);
                buffer = buffer.Slice(reader.Position);
                return true;
            }
        }

        frame = default;
        return false;
    }

    /// <summary>
    /// The frame's data: the values of its <c>data:</c> lines, joined by LF; empty when it has none (a comment, a heartbeat).
    /// </summary>
    public static ReadOnlyMemory<byte> Data(in ReadOnlySequence<byte> frame)
    {
        var rest = frame.IsSingleSegment ? frame.First : frame.ToArray();
        ReadOnlyMemory<byte> data = default;
        while (!rest.IsEmpty)
        {
            var end = rest.Span.IndexOf((byte)'\n');
            var line = end < 0 ? rest : rest[..end];
            rest = end < 0 ? default : rest[(end + 1)..];
            if (line.Span.StartsWith("data:"u8))
            {
                var value = Value(line["data:".Length..]);
                data = data.IsEmpty ? value : Join(data, value);
            }
        }

        return data;
    }

    private static ReadOnlyMemory<byte> Value(ReadOnlyMemory<byte> value)
    {
        if (value.Span is [(byte)' ', ..])
        {
            value = value[1..];
        }

        return value.Span is [.., (byte)'\r'] ? value[..^1] : value;
    }

    private static byte[] Join(ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second) => [.. first.Span, (byte)'\n', .. second.Span];
}
