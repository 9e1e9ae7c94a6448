using System.Buffers.Text;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace ChatHistory.Bench.Upstream;

/// <summary>One connection of the mock: reads a request at a time and answers it.</summary>
internal sealed class UpstreamConnection(Socket client)
{
    private static readonly long s_thinkTime = Stopwatch.Frequency * 20 / 1000;
    private static readonly long s_pace = Stopwatch.Frequency * 5 / 1000;
    private static readonly Metronome s_metronome = new();

    // What the gateway asks for beside the turns. It has no /tokenize, as most servers.
    private static readonly byte[] s_models = Json("200 OK",
        """{"object":"list","data":[{"id":"bench-instant","object":"model","max_model_len":1000000},{"id":"bench-think","object":"model","max_model_len":1000000},{"id":"bench-burst","object":"model","max_model_len":1000000},{"id":"bench-paced","object":"model","max_model_len":1000000}]}""");
    private static readonly byte[] s_healthy = Json("200 OK", "{}");
    private static readonly byte[] s_notFound = Json("404 Not Found", """{"detail":"Not Found"}""");

    private readonly Answers _answers = new();
    private byte[] _buffer = new byte[16 * 1024];
    private int _filled;

    /// <returns>False when the client has closed.</returns>
    /// <exception cref="FormatException">A request that the mock does not understand.</exception>
    public async ValueTask<bool> AnswerNextAsync()
    {
        int headLength;
        while ((headLength = _buffer.AsSpan(0, _filled).IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (!await ReadAsync())
            {
                return false;
            }
        }

        headLength += 4;
        var length = headLength + ContentLength(_buffer.AsSpan(0, headLength));
        while (_filled < length)
        {
            if (!await ReadAsync())
            {
                return false;
            }
        }

        await AnswerAsync(headLength, length);
        _buffer.AsSpan(length, _filled - length).CopyTo(_buffer);
        _filled -= length;
        return true;
    }

    private async ValueTask AnswerAsync(int headLength, int length)
    {
        if (!_buffer.AsSpan(0, headLength).StartsWith("POST /v1/chat/completions "u8))
        {
            await SendAsync(Other());
            return;
        }

        var body = _buffer.AsSpan(headLength, length - headLength);
        var model = body.IndexOf("\"bench-"u8);
        var kind = model < 0 ? '?' : (char)body[model + "\"bench-".Length];
        var withUsage = body.IndexOf("\"include_usage\":true"u8) >= 0;
        _answers.Begin();
        switch (kind)
        {
            case 't':
                await s_metronome.UntilAsync(Stopwatch.GetTimestamp() + s_thinkTime);
                await SendAsync(_answers.Whole());
                break;
            case 'i':
                await SendAsync(_answers.Whole());
                break;
            case 'b' or 'p':
                await StreamAsync(paced: kind == 'p', withUsage);
                break;
            default:
                throw new FormatException("a request without one of the models bench-*: " + Encoding.UTF8.GetString(body[..Math.Min(200, body.Length)]));
        }
    }

    private async ValueTask StreamAsync(bool paced, bool withUsage)
    {
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < Answers.ChunksPerStream; i++)
        {
            if (paced && i > 0)
            {
                await s_metronome.UntilAsync(started + (i * s_pace));
            }

            await SendAsync(_answers.Chunk(i));
        }

        await SendAsync(_answers.End(withUsage));
    }

    private byte[] Other() =>
        _buffer.AsSpan().StartsWith("GET /v1/models "u8) ? s_models
        : _buffer.AsSpan().StartsWith("GET /health "u8) ? s_healthy
        : s_notFound;

    private static int ContentLength(ReadOnlySpan<byte> head)
    {
        foreach (var range in head.Split("\r\n"u8))
        {
            var line = head[range];
            if (line.Length > 15 && Ascii.EqualsIgnoreCase(line[..15], "content-length:"u8) && Utf8Parser.TryParse(line[15..].TrimStart(" "u8), out int length, out _))
            {
                return length;
            }

            if (line.Length > 18 && Ascii.EqualsIgnoreCase(line[..18], "transfer-encoding:"u8))
            {
                throw new FormatException("a request whose body comes in chunks; the mock knows Content-Length only");
            }
        }

        return 0;
    }

    private async ValueTask<bool> ReadAsync()
    {
        if (_filled == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        var read = await client.ReceiveAsync(_buffer.AsMemory(_filled));
        _filled += read;
        return read > 0;
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await client.SendAsync(bytes)..];
        }
    }

    private static byte[] Json(string status, string body) =>
        Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
}
