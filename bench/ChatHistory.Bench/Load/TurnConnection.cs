using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ChatHistory.Bench.Upstream;

namespace ChatHistory.Bench.Load;

/// <summary>
/// A client connection with one request at a time, on a raw socket: HttpClient would take more of the two cores than what is measured. For what wrk cannot do: it neither
/// reads streams nor sends what an earlier answer decides.
/// </summary>
internal sealed class TurnConnection : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly ArrayBufferWriter<byte> _body = new(64 * 1024);

    private int _filled;
    private bool _inBody;
    private bool _chunked;
    private int _left;
    private bool _lastChunk;
    private int _scanned;
    private int _chunks;
    private bool _done;

    /// <summary>When the last answer's first event came; 0 when none did.</summary>
    public long FirstEventAt { get; private set; }

    /// <summary>Of all answers: how long each chunk of a stream was under way, in ticks of <see cref="Stopwatch"/>.</summary>
    public List<long> Transits { get; } = [];

    /// <summary>The last answer's head.</summary>
    public string Head { get; private set; } = "";

    public ReadOnlySpan<byte> Body => _body.WrittenSpan;

    public async Task ConnectAsync(int port) => await _socket.ConnectAsync(IPAddress.Loopback, port);

    /// <returns>True for a 200 that is whole: a stream with all its chunks and [DONE], anything else with what the upstream said.</returns>
    public async ValueTask<bool> AskAsync(ReadOnlyMemory<byte> request, bool stream)
    {
        (_inBody, _lastChunk, _done, _scanned, _chunks, _filled, FirstEventAt) = (false, false, false, 0, 0, 0, 0);
        _body.ResetWrittenCount();
        while (request.Length > 0)
        {
            request = request[await _socket.SendAsync(request)..];
        }

        bool complete;
        do
        {
            var read = await _socket.ReceiveAsync(_buffer.AsMemory(_filled));
            if (read == 0)
            {
                return false;
            }

            _filled += read;
            complete = Take();
            if (stream && _inBody)
            {
                ReadEvents(Stopwatch.GetTimestamp());
            }
        }
        while (!complete);

        return Head.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal)
            && (stream ? _done && _chunks == Answers.ChunksPerStream : Body.IndexOf(s_text) >= 0 && Body[^1] == '}');
    }

    public string? Header(string name)
    {
        var at = Head.IndexOf($"\r\n{name}: ", StringComparison.OrdinalIgnoreCase);
        return at < 0 ? null : Head[(at + name.Length + 4)..].Split("\r\n", 2)[0];
    }

    public void Dispose() => _socket.Dispose();

    private static readonly byte[] s_text = Encoding.ASCII.GetBytes(Answers.Text);

    /// <summary>Takes what has come out of the buffer.</summary>
    /// <returns>True when the answer is at its end.</returns>
    private bool Take()
    {
        var rest = _buffer.AsSpan(0, _filled);
        if (!_inBody)
        {
            var end = rest.IndexOf("\r\n\r\n"u8);
            if (end < 0)
            {
                return false;
            }

            Head = Encoding.ASCII.GetString(rest[..(end + 2)]);
            _inBody = true;
            _chunked = Header("Transfer-Encoding") is not null;
            _left = _chunked ? -1 : int.Parse(Header("Content-Length")!, System.Globalization.CultureInfo.InvariantCulture);
            rest = rest[(end + 4)..];
        }

        var complete = _chunked ? TakeChunks(ref rest) : TakeBytes(ref rest);
        rest.CopyTo(_buffer);
        _filled = rest.Length;
        return complete;
    }

    private bool TakeBytes(ref Span<byte> rest)
    {
        var count = Math.Min(_left, rest.Length);
        _body.Write(rest[..count]);
        rest = rest[count..];
        _left -= count;
        return _left == 0;
    }

    // "1a\r\n" 26 bytes "\r\n" ... "0\r\n\r\n"; _left is -1 before a size, and counts the line break behind the bytes.
    private bool TakeChunks(ref Span<byte> rest)
    {
        while (rest.Length > 0)
        {
            if (_left < 0)
            {
                var end = rest.IndexOf("\r\n"u8);
                if (end < 0)
                {
                    return false;
                }

                if (!Utf8Parser.TryParse(rest[..end], out int size, out _, 'x'))
                {
                    throw new FormatException("a chunk without a size");
                }

                rest = rest[(end + 2)..];
                _lastChunk = size == 0;
                _left = size + 2;
                continue;
            }

            var bytes = Math.Min(_left - 2, rest.Length);
            if (bytes > 0)
            {
                _body.Write(rest[..bytes]);
                rest = rest[bytes..];
                _left -= bytes;
            }

            var lineBreak = Math.Min(_left, rest.Length);
            if (_left <= 2)
            {
                rest = rest[lineBreak..];
                _left -= lineBreak;
            }

            if (_left == 0)
            {
                _left = -1;
                if (_lastChunk)
                {
                    return true;
                }
            }
        }

        return false;
    }

    private void ReadEvents(long now)
    {
        while (true)
        {
            var rest = _body.WrittenSpan[_scanned..];
            var end = rest.IndexOf("\n\n"u8);
            if (end < 0)
            {
                return;
            }

            var line = rest[..end];
            _scanned += end + 2;
            if (FirstEventAt == 0)
            {
                FirstEventAt = now;
            }

            var time = line.IndexOf("\"@"u8);
            if (time >= 0 && Utf8Parser.TryParse(line.Slice(time + 2, Answers.DigitsOfTime), out long sent, out _))
            {
                Transits.Add(now - sent);
                _chunks++;
            }
            else if (line.SequenceEqual("data: [DONE]"u8))
            {
                _done = true;
            }
        }
    }
}
