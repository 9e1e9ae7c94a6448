using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace ChatHistory.Tests.Processes;

/// <summary>One HTTP/1.1 request over a bare socket: for what HttpClient hides, such as how a body ends, and for leaving in the middle of it.</summary>
internal sealed class RawConnection : IDisposable
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(60);

    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly MemoryStream _received = new();

    /// <summary>Every byte that came, head and chunk sizes included.</summary>
    public byte[] Received => _received.ToArray();

    public string SessionId => Header("X-Session-Id");

    public string Header(string name) => Head.Split("\r\n").Single(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))[(name.Length + 1)..].Trim();

    /// <summary>The body that came, without the chunks' sizes.</summary>
    public string Body => Encoding.UTF8.GetString(Dechunked());

    public string Head => Encoding.ASCII.GetString(Received, 0, Math.Max(0, HeadLength));

    private int HeadLength => Received.AsSpan().IndexOf("\r\n\r\n"u8);

    /// <summary>Sends what the test wrote, line ends included.</summary>
    public static async Task<RawConnection> SendAsync(Uri server, string request)
    {
        var connection = new RawConnection();
        await connection._socket.ConnectAsync(server.Host, server.Port).WaitAsync(s_timeout);
        await connection._socket.SendAsync(Encoding.UTF8.GetBytes(request));
        return connection;
    }

    /// <param name="headers">More header lines, each with its line end.</param>
    public static Task<RawConnection> PostAsync(Uri server, string path, string json, string headers = "") => SendAsync(
        server,
        $"POST {path} HTTP/1.1\r\nHost: {server.Authority}\r\n{headers}Content-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\n\r\n{json}");

    /// <summary>Reads until <paramref name="isEnough"/> says so of the body, or the connection ends.</summary>
    public async Task ReadUntilAsync(Func<string, bool> isEnough)
    {
        while (HeadLength < 0 || !isEnough(Body))
        {
            if (!await ReadMoreAsync())
            {
                return;
            }
        }
    }

    /// <summary>Reads until the server closes the connection.</summary>
    public async Task ReadToTheEndAsync()
    {
        while (await ReadMoreAsync())
        {
        }
    }

    /// <summary>Closes at once with a TCP reset, as a killed process with unread data does. Disposing closes politely.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Close();
    }

    public void Dispose() => _socket.Dispose();

    private async Task<bool> ReadMoreAsync()
    {
        var buffer = new byte[4096];
        try
        {
            var length = await _socket.ReceiveAsync(buffer).WaitAsync(s_timeout);
            _received.Write(buffer.AsSpan(0, length));
            return length > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private byte[] Dechunked()
    {
        var rest = HeadLength < 0 ? default : Received.AsSpan(HeadLength + 4);
        var body = new List<byte>();
        // {size in hex}\r\n{bytes}\r\n
        while (rest.IndexOf("\r\n"u8) is var sizeLength and > 0)
        {
            var size = int.Parse(Encoding.ASCII.GetString(rest[..sizeLength]), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            var chunk = rest[(sizeLength + 2)..];
            body.AddRange(chunk[..Math.Min(size, chunk.Length)]);
            rest = chunk.Length >= size + 2 ? chunk[(size + 2)..] : default;
        }

        return [.. body];
    }
}
