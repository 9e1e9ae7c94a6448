using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace ChatHistory.Tests.Promises;

/// <summary>What can be wrong with a request, known by its structure: each change is at a value or a name of a valid body.</summary>
internal static class Mutations
{
    // Raw JSON (or nearly) that takes the place of a value.
    private static readonly string[] s_values =
    [
        "null", "true", "0", "-1", "1e308", "-1e308", "1e400", "12345678901234567890123", "0.1", "2147483648", "9223372036854775808", "\"\"", "\" \"", "\"\\u0000\"", "\"\\ud800\"", "\"\\udfff\\ud800\"",
        "\"\u202e\u0007\"", "[]", "{}", "[[[[[[]]]]]]", "{\"role\":\"user\"}", "[null]", "\"user\"", "\"assistant\"", "\"'; DROP TABLE messages; --\"", "\"../../etc/passwd\"", "\"%s%n\"", "NaN", "'x'", "", "/**/",
        "{\"a\":1,\"a\":2}", "{\"\":{\"\":{}}}", "\"\\uD83D\\uDE00\"", "true false", "-", "01", "[1,]", "\"2026-13-45T99:99:99Z\"",
    ];

    // Larger ones, made when they are needed.
    private static readonly Func<string>[] s_large =
    [
        () => "\"" + new string('x', 5000) + "\"",
        () => "\"" + new string('x', 900_000) + "\"",
        () => "\"" + new string('x', 1_200_000) + "\"",
        () => new string('[', 200) + new string(']', 200),
        () => new string('[', 10_000) + new string(']', 10_000),
        () => string.Concat(Enumerable.Repeat("{\"a\":", 10_000)) + "1" + new string('}', 10_000),
        () => new string('9', 100_000),
        () => "\"" + string.Concat(Enumerable.Repeat("\\u0000", 20_000)) + "\"",
        () => "[" + string.Join(',', Enumerable.Repeat("""{"role":"user","content":"x"}""", 20_000)) + "]",
        () => "[" + string.Join(',', Enumerable.Repeat("1", 200_000)) + "]",
        () => "{" + string.Join(',', Enumerable.Range(0, 20_000).Select(i => $"\"k{i}\":\"v\"")) + "}",
    ];

    // Whole bodies that are no JSON at all.
    private static readonly Func<byte[]>[] s_bodies =
    [
        () => [],
        () => [0],
        () => [0xFF, 0xFE, (byte)'{', 0, (byte)'}', 0],
        () => [0xEF, 0xBB, 0xBF, (byte)'{', (byte)'}'],
        () => [.. "{\"messages\":\""u8, 0xC3, 0x28, 0xF0, 0x9F, .. "\"}"u8],
        () => Encoding.Unicode.GetBytes("{\"a\":1}"),
        () => Encoding.UTF8.GetBytes(new string('[', 500_000)),
        () => new byte[300_000],
        () => Bomb(stream => new GZipStream(stream, CompressionLevel.SmallestSize)),
        () => Bomb(stream => new BrotliStream(stream, CompressionLevel.Fastest)),
        () => new byte[1_500_000],
        () => "a=b&c=d"u8.ToArray(),
        () => "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../x\"\r\n\r\ny\r\n--x--\r\n"u8.ToArray(),
    ];

    public static string[] ContentTypes { get; } =
    [
        "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "application/json; charset=nonsense",
        "application/xml", "application/problem+json", "application/json, text/plain", "json", "application/grpc", "application/octet-stream", "application/json;;;=", new string('a', 4000),
    ];

    public static string[] Encodings { get; } = ["gzip", "br", "deflate", "zstd", "identity", "gzip, gzip", "nonsense"];

    public static (string Name, string Value)[] Headers { get; } =
    [
        ("Authorization", "Bearer"), ("Authorization", "Bearer chk_aaaaaaaa_0000000000000000000000000000000000000000000000"), ("Authorization", "Basic Og=="), ("Authorization", new string('x', 8000)),
        ("Authorization", "Bearer '; DROP TABLE api_keys; --"), ("X-Session-Id", new string('s', 5000)), ("X-Session-Id", "none"), ("Idempotency-Key", new string('k', 300)),
        ("Idempotency-Key", "k"), ("x-stainless-retry-count", "-1"), ("x-stainless-retry-count", "99999999999999"), ("x-stainless-retry-count", "x"), ("X-OpenWebUI-Chat-Id", new string('c', 300)),
        ("X-OpenWebUI-User-Id", "u"), ("traceparent", "00-zz"), ("traceparent", new string('0', 3000)), ("tracestate", new string('=', 600)), ("baggage", ",,,="),
        ("Accept", "nonsense"), ("Accept-Encoding", "nonsense;q=9"), ("Range", "bytes=5-1"), ("If-None-Match", "*"), ("Expect", "100-continue"), ("Cookie", new string(';', 3000)), ("Last-Event-ID", "x"),
        ("X-HTTP-Method-Override", "DELETE"), ("X-Forwarded-For", "127.0.0.1, evil"), ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Origin", "http://localhost"), ("Origin", "null"), ("Origin", "::"),
        ("x-request-id", new string('r', 5000)), ("Content-Language", "x"),
    ];

    /// <summary>Requests as they come over the wire; <c>{host}</c> is the gateway.</summary>
    public static string[] Lies { get; } =
    [
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"messages\":[",
        "POST /v1/sessions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n{}",
        "POST /v1/sessions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}{\"user_id\":\"smuggled\"}",
        "POST /v1/sessions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n{}",
        "POST /v1/sessions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        "POST /v1/sessions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "POST /v1/sessions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "POST /v1/embeddings HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n{}\r\n",
        "POST /v1/embeddings HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"input\":",
        "POST /v1/responses HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
        "POST /v1/responses HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "POST /v1/responses HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2;" + new string('x', 30_000) + "\r\n{}\r\n0\r\n\r\n",
        "GET /v1/sessions HTTP/1.1\r\n\r\n",
        "GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\nHost: evil\r\n\r\n",
        "GET /v1/sessions HTTP/9.9\r\nHost: {host}\r\n\r\n",
        "GET /v1/sessions\0 HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n",
        "GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\nX: a\r\n folded\r\n\r\n",
        "GET /v1/sessions?" + new string('q', 20_000) + " HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\nX: " + new string('x', 64_000) + "\r\n\r\n",
        "GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\n" + string.Concat(Enumerable.Range(0, 200).Select(i => $"X-{i}: y\r\n")) + "\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET http://evil.example/v1/sessions HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "nonsense\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nX-Session-Id: \u00e9\u00ff\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nX-Conversation-Id: \u0001\r\nIdempotency-Key: \u0002\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    ];

    /// <summary>A query that hits every parameter there is, each with something that it does not expect.</summary>
    public static string Query(Random random)
    {
        var names = new[] { "limit", "offset", "after", "before", "order", "branch", "user_id", "starting_after", "stream", "include_usage", "include[]", "metadata[a]", "model", "is_active", "q", "sort" };
        var values = new[] { "", "-1", "0", "1e9", "99999999999999999999", "%00", "%ff%fe", "x", "%F0%9F%98%80", "true", "null", "[]", "a&limit=2", "%27%3B%20DROP%20TABLE%20messages%3B--", new string('y', 2000), "%", "%zz", "../.." };
        return "?" + string.Join('&', Enumerable.Range(0, random.Next(1, 4)).Select(_ => $"{random.Pick(names)}={random.Pick(values)}"));
    }

    /// <summary>A valid body with one to three things done to it; now and then something else altogether.</summary>
    public static byte[] Body(string valid, Random random)
    {
        if (random.Next(12) == 0)
        {
            return random.Pick(s_bodies)();
        }

        var body = Encoding.UTF8.GetBytes(valid);
        for (var changes = random.Next(1, 4); changes > 0; changes--)
        {
            body = Change(body, random, Encoding.UTF8.GetBytes(random.Next(12) == 0 ? random.Pick(s_large)() : random.Pick(s_values)));
        }

        return body;
    }

    /// <summary>Replaces, removes, repeats or cuts off at one value or name of the body.</summary>
    private static byte[] Change(byte[] body, Random random, byte[] value)
    {
        var places = Places(body);
        if (places.Count == 0)
        {
            return value;
        }

        var (start, end) = random.Pick(places);
        return random.Next(10) switch
        {
            0 => [.. body[..start], .. body[end..]],
            1 => body[..start],
            2 => [.. body[..end], (byte)',', .. body[start..]],
            3 => [.. body[..start], (byte)random.Next(256), .. body[start..]],
            _ => [.. body[..start], .. value, .. body[end..]],
        };
    }

    /// <summary>Where the values and names stand, as far as the body is JSON.</summary>
    private static List<(int Start, int End)> Places(byte[] body)
    {
        var places = new List<(int Start, int End)>();
        var open = new Stack<int>();
        var reader = new Utf8JsonReader(body);
        try
        {
            while (reader.Read())
            {
                var start = (int)reader.TokenStartIndex;
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject or JsonTokenType.StartArray:
                        open.Push(start);
                        break;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        places.Add((open.Pop(), start + 1));
                        break;
                    case JsonTokenType.PropertyName:
                        places.Add((start, start + reader.ValueSpan.Length + 2));
                        break;
                    default:
                        places.Add((start, (int)reader.BytesConsumed));
                        break;
                }
            }
        }
        catch (JsonException)
        {
        }

        return places;
    }

    /// <summary>A few kilobytes that are megabytes to whoever unpacks them.</summary>
    private static byte[] Bomb(Func<Stream, Stream> compress)
    {
        using var packed = new MemoryStream();
        using (var stream = compress(packed))
        {
            var zeros = new byte[1024 * 1024];
            for (var i = 0; i < 32; i++)
            {
                stream.Write(zeros);
            }
        }

        return packed.ToArray();
    }
}
