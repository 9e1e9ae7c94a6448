using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using ChatHistory.Bench.Targets;

namespace ChatHistory.Bench.Load;

/// <summary>
/// A request as the bytes that are sent. Every question is another one: the product finds conversations by what they say, and nobody's thousand users ask the very same.
/// </summary>
internal static class Question
{
    /// <summary>Stands for the number; of a fixed width, so that it can be written into the bytes.</summary>
    public const string NumberPlace = "################";

    private const string Ask = $"Question {NumberPlace}: tell me, in a paragraph of about a kilobyte, how a letter finds its way.";

    private static long s_number = Random.Shared.NextInt64(1L << 40) << 20;

    /// <summary>The body of a first turn.</summary>
    public static string Body(string model, bool stream) =>
        $$"""{"model":"{{model}}",{{(stream ? "\"stream\":true," : "")}}"messages":[{"role":"user","content":"{{Ask}}"}]}""";

    /// <summary>The body of a turn that continues a session by its id.</summary>
    public static string Body(string model, string sessionId) =>
        $$"""{"model":"{{model}}","session_id":"{{sessionId}}","messages":[{"role":"user","content":"{{Ask}}"}]}""";

    /// <summary>The body of a turn with a whole transcript, as clients without ids send it.</summary>
    public static string Body(string model, IEnumerable<(string Role, string Content)> transcript)
    {
        var messages = transcript.Select(message => $$"""{"role":"{{message.Role}}","content":{{JsonSerializer.Serialize(message.Content, BenchJson.Default.String)}}}""");
        return $$"""{"model":"{{model}}","messages":[{{string.Join(',', messages)}}]}""";
    }

    public static string Head(Target target, int bodyLength)
    {
        var head = new StringBuilder("POST /v1/chat/completions HTTP/1.1\r\n")
            .Append(CultureInfo.InvariantCulture, $"Host: 127.0.0.1:{target.Port}\r\nContent-Type: application/json\r\nContent-Length: {bodyLength}\r\n");
        foreach (var (name, value) in target.Headers)
        {
            head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        }

        return head.Append("\r\n").ToString();
    }

    /// <summary>A request with a number of its own.</summary>
    public static byte[] Renumbered(Target target, string body)
    {
        var request = Request(target, body);
        return Renumber(request, PlaceIn(request));
    }

    public static byte[] Request(Target target, string body) => Encoding.ASCII.GetBytes(Head(target, body.Length) + body);

    /// <summary>Where the number goes; -1 in a request that has none.</summary>
    public static int PlaceIn(byte[] request) => request.AsSpan().LastIndexOf("################"u8);

    public static byte[] Renumber(byte[] request, int place)
    {
        if (place >= 0)
        {
            Utf8Formatter.TryFormat(Interlocked.Increment(ref s_number), request.AsSpan(place), out _, new('x', (byte)NumberPlace.Length));
        }

        return request;
    }
}
