using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace ChatHistory.Bench.Upstream;

/// <summary>
/// A model server that costs next to nothing: raw sockets and answers that are made before. What it does, the request's model says, because a proxy has one upstream:
/// <c>bench-instant</c>, <c>bench-think</c> (20 ms), <c>bench-burst</c> (a stream at full speed), <c>bench-paced</c> (a stream, 5 ms between its chunks).
/// </summary>
internal static class UpstreamServer
{
    public static async Task<int> RunAsync(int port)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        listener.Listen(1024);
        while (true)
        {
            var client = await listener.AcceptAsync();
            client.NoDelay = true;
            _ = ServeAsync(client);
        }
    }

    private static async Task ServeAsync(Socket client)
    {
        using (client)
        {
            var connection = new UpstreamConnection(client);
            try
            {
                while (await connection.AnswerNextAsync())
                {
                }
            }
            catch (SocketException)
            {
                // A load generator that has seen enough, or a gateway that gives an answer up.
            }
            catch (FormatException exception)
            {
                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"upstream: {exception.Message}"));
            }
        }
    }
}
