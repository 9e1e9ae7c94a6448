using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace ChatHistory.Bench.Upstream;

/// <summary>
/// The mock's answers as bytes, made once per connection. Only ids and timestamps are written into them anew, in places of a fixed width: the mock shares the
/// machine with what is measured.
/// </summary>
/// <remarks>
/// An event of a stream, as a chunk of HTTP's chunked coding. Behind the <c>@</c> is the time at which it was sent, in <see cref="Stopwatch"/> ticks: one clock for all processes.
/// <code>
/// 106
/// data: {"id":"chatcmpl-00000000deadbeef","object":"chat.completion.chunk",...,"choices":[{"index":0,"delta":{"content":"@0000123456789012 token"},...}]}
/// </code>
/// </remarks>
internal sealed class Answers
{
    /// <summary>Events of a stream that carry text. Behind them come one with finish_reason, one with the usage where it was asked for, and [DONE].</summary>
    public const int ChunksPerStream = 64;

    public const int DigitsOfTime = 16;

    /// <summary>What the answer to a request that is not streamed says: about 1 KB with what is around it.</summary>
    public static readonly string Text = string.Concat(Enumerable.Range(0, 60).Select(i => string.Create(CultureInfo.InvariantCulture, $"word{i:00} of it ")))[..700].TrimEnd();

    private const string IdPlace = "chatcmpl-0000000000000000";

    private static readonly byte[] s_idPrefix = "chatcmpl-"u8.ToArray();

    private readonly byte[] _whole = WholeAnswer();
    private readonly byte[] _first = [.. StreamHead(), .. HttpChunk(Event("\"role\":\"assistant\",\"content\":\"@0000000000000000 word\"", "null"))];
    private readonly byte[] _next = HttpChunk(Event("\"content\":\"@0000000000000000 token\"", "null"));
    private readonly byte[] _end = StreamEnd(withUsage: false);
    private readonly byte[] _endWithUsage = StreamEnd(withUsage: true);
    private static long s_answers = Random.Shared.NextInt64(1L << 48);

    private long _id;

    /// <summary>Each answer has an id of its own, as a model server's.</summary>
    public void Begin() => _id = Interlocked.Increment(ref s_answers);

    public ReadOnlyMemory<byte> Whole()
    {
        WriteIds(_whole);
        return _whole;
    }

    public ReadOnlyMemory<byte> Chunk(int index)
    {
        var bytes = index == 0 ? _first : _next;
        if (index < 2)
        {
            WriteIds(bytes);
        }

        var place = bytes.AsSpan().LastIndexOf("\"@"u8) + 2;
        Utf8Formatter.TryFormat(Stopwatch.GetTimestamp(), bytes.AsSpan(place), out _, new('D', DigitsOfTime));
        return bytes;
    }

    public ReadOnlyMemory<byte> End(bool withUsage)
    {
        var bytes = withUsage ? _endWithUsage : _end;
        WriteIds(bytes);
        return bytes;
    }

    private void WriteIds(Span<byte> bytes)
    {
        for (int at; (at = bytes.IndexOf(s_idPrefix)) >= 0; bytes = bytes[(at + IdPlace.Length)..])
        {
            Utf8Formatter.TryFormat(_id, bytes[(at + s_idPrefix.Length)..], out _, new('x', (byte)(IdPlace.Length - s_idPrefix.Length)));
        }
    }

    private static byte[] WholeAnswer()
    {
        var body = $$$"""
            {"id":"{{{IdPlace}}}","object":"chat.completion","created":1790000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"{{{Text}}}","refusal":null,"tool_calls":[]},"logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":19,"total_tokens":259,"completion_tokens":240,"prompt_tokens_details":null},"system_fingerprint":null}
            """;
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
    }

    private static byte[] StreamHead() => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray();

    private static string Event(string delta, string finishReason) =>
        $$"""
        data: {"id":"{{IdPlace}}","object":"chat.completion.chunk","created":1790000000,"model":"bench","choices":[{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{{finishReason}}}]}
        """;

    private static byte[] StreamEnd(bool withUsage) =>
    [
        .. HttpChunk(Event("\"content\":\"\"", "\"stop\"")),
        .. withUsage
            ? HttpChunk($$"""data: {"id":"{{IdPlace}}","object":"chat.completion.chunk","created":1790000000,"model":"bench","choices":[],"usage":{"prompt_tokens":19,"total_tokens":83,"completion_tokens":64} }""")
            : [],
        .. HttpChunk("data: [DONE]"),
        .. "0\r\n\r\n"u8,
    ];

    private static byte[] HttpChunk(string line) =>
        Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{line.Length + 2:x}\r\n{line}\n\n\r\n"));
}
