using System.Buffers;
using System.Text;
using System.Text.Json;
using ChatHistory.Gateway.Relay;
using CsCheck;

namespace ChatHistory.Tests.Gateway;

/// <summary>However the network splits a stream, the frames and the message in them are the same.</summary>
public sealed class SseFramesTests
{
    private static readonly Gen<string> s_text = Gen.String[Gen.OneOf(Gen.Char['a', 'z'], Gen.OneOf('\u00e4', '\u4f60', '\u597d', '"', '\\', '\n', '\u2028')), 0, 12];

    private static readonly Gen<string> s_frame = Gen.OneOf(
        s_text.Select(text => $"data: {Chunk(text)}"),
        s_text.Select(text => $"data:{Chunk(text)}"),
        Gen.OneOf(": ping", "event: something\ndata: {\"not\": \"a chunk\"}", "data: not json", "id: 7\nretry: 10", "data: {\"choices\":[]}"));

    [Fact]
    public void AnySplit_GivesTheSameFramesAndTheSameMessage() =>
        Gen.Select(s_frame.Array[0, 12], Gen.OneOf("\n", "\r\n"), Gen.Int[1, 40].Array[0, 60]).Sample((frames, newLine, cuts) =>
        {
            var stream = string.Concat(frames.Append("data: [DONE]").Select(frame => frame.ReplaceLineEndings(newLine) + newLine + newLine));
            var bytes = Encoding.UTF8.GetBytes(stream);

            var (whole, wholeText) = Read(bytes, []);
            var (split, splitText) = Read(bytes, cuts);

            Assert.Equal(whole, split);
            Assert.Equal(wholeText, splitText);
            Assert.Equal(stream, string.Concat(split));
        });

    [Fact]
    public void TryRead_LeavesAnUnfinishedFrame()
    {
        var buffer = new ReadOnlySequence<byte>("data: {\"a\":1}\n"u8.ToArray());

        Assert.False(SseFrames.TryRead(ref buffer, out _));
        Assert.Equal(14, buffer.Length);
    }

    [Theory]
    [InlineData("data: {\"a\":1}\n\n", "{\"a\":1}")]
    [InlineData("data:{\"a\":1}\r\n\r\n", "{\"a\":1}")]
    [InlineData("event: x\ndata: 1\ndata: 2\n\n", "1\n2")]
    [InlineData(": comment\n\n", "")]
    [InlineData("data: [DONE]", "[DONE]")]
    public void Data_JoinsTheDataLines(string frame, string data) =>
        Assert.Equal(data, Encoding.UTF8.GetString(SseFrames.Data(new ReadOnlySequence<byte>(Encoding.UTF8.GetBytes(frame))).Span));

    private static string Chunk(string text) => $$$"""{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":{{{JsonSerializer.Serialize(text)}}}}}]}""";

    /// <summary>Feeds the bytes in pieces of the given sizes, each piece in a memory segment of its own, as a pipe would.</summary>
    private static (List<string> Frames, string Text) Read(byte[] bytes, int[] sizes)
    {
        var frames = new List<string>();
        var observer = new CompletionObserver(choices: 1);
        var pending = new List<byte[]>();
        foreach (var piece in Pieces(bytes, sizes))
        {
            pending.Add(piece);
            var buffer = Segment.Join(pending);
            while (SseFrames.TryRead(ref buffer, out var frame))
            {
                frames.Add(Encoding.UTF8.GetString(frame));
                observer.Observe(SseFrames.Data(frame).Span);
            }

            pending = buffer.IsEmpty ? [] : [buffer.ToArray()];
        }

        Assert.Empty(pending);
        return (frames, observer.Choices.FirstOrDefault()?.ToMessage().Content ?? "");
    }

    private static IEnumerable<byte[]> Pieces(byte[] bytes, int[] sizes)
    {
        var start = 0;
        foreach (var size in sizes)
        {
            var end = Math.Min(start + size, bytes.Length);
            yield return bytes[start..end];
            start = end;
        }

        yield return bytes[start..];
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public static ReadOnlySequence<byte> Join(List<byte[]> pieces)
        {
            var first = new Segment { Memory = pieces[0] };
            var last = first;
            foreach (var piece in pieces.Skip(1))
            {
                var next = new Segment { Memory = piece, RunningIndex = last.RunningIndex + last.Memory.Length };
                last.Next = next;
                last = next;
            }

            return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
        }
    }
}
