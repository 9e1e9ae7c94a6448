using System.Diagnostics;
using System.Net.Sockets;
using ChatHistory.Bench.Targets;
using ChatHistory.Bench.Upstream;

namespace ChatHistory.Bench.Load;

/// <summary>Connections that each ask again as soon as they have their answer.</summary>
internal static class ClosedLoop
{
    private static readonly Lazy<Metronome> s_metronome = new(() => new Metronome());

    /// <summary>First turns until the time is over; what has begun then is still awaited and counted.</summary>
    /// <param name="spread">The connections begin one after the other within this time. Streams of one length that begin together would begin together for ever, and each
    /// would be measured in the crowd of all.</param>
    public static async Task<Slice> RunAsync(Target target, string model, bool stream, int connections, TimeSpan duration, TimeSpan spread = default)
    {
        // Each connection has a copy of its own, in which only the number changes.
        var requests = Enumerable.Range(0, connections).Select(_ => Question.Request(target, Question.Body(model, stream))).ToArray();
        var place = Question.PlaceIn(requests[0]);
        var end = Stopwatch.GetTimestamp() + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        return await RunAsync(
            target, connections, stream,
            connection => Stopwatch.GetTimestamp() < end ? (0, Question.Renumber(requests[connection], place)) : null,
            (_, _) => { },
            spread);
    }

    /// <summary>The given bodies, once each, whichever connection is free.</summary>
    /// <param name="answered">Gets the connection with the answer to the body of that index.</param>
    public static async Task<Slice> RunAsync(Target target, int connections, IReadOnlyList<string> bodies, Action<int, TurnConnection> answered)
    {
        var requests = bodies.Select(body => Question.Renumbered(target, body)).ToArray();
        var last = -1;
        return await RunAsync(
            target, connections, stream: false,
            _ => Interlocked.Increment(ref last) is var index && index < requests.Length ? (index, requests[index]) : null,
            answered);
    }

    private static async Task<Slice> RunAsync(
        Target target, int connections, bool stream, Func<int, (int Index, byte[] Request)?> next, Action<int, TurnConnection> answered, TimeSpan spread = default)
    {
        var clients = Enumerable.Range(0, connections).Select(_ => new TurnConnection()).ToArray();
        await Task.WhenAll(clients.Select(client => client.ConnectAsync(target.Port)));
        var started = Stopwatch.GetTimestamp();
        var loops = await Task.WhenAll(clients.Select(async (client, number) =>
        {
            if (spread > TimeSpan.Zero)
            {
                await s_metronome.Value.UntilAsync(started + (long)(spread.TotalSeconds * Stopwatch.Frequency * number / connections));
            }

            return await AskAsync(client, stream, () => next(number), answered);
        }));
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        // Off the socket's own thread, which runs what waits for it.
        await Task.Yield();

        var totals = Sorted(loops.SelectMany(loop => loop.Totals));
        var firstBytes = Sorted(loops.SelectMany(loop => loop.FirstBytes));
        var transits = Sorted(clients.SelectMany(client => client.Transits));
        Array.ForEach(clients, client => client.Dispose());
        return new Slice
        {
            Answers = totals.Length,
            Errors = loops.Count(loop => loop.HasFailed),
            Seconds = seconds,
            P50 = Percentiles.At(totals, 0.5),
            P99 = Percentiles.At(totals, 0.99),
            FirstByteP50 = Percentiles.At(firstBytes, 0.5),
            FirstByteP99 = Percentiles.At(firstBytes, 0.99),
            TransitP50 = Percentiles.At(transits, 0.5),
            TransitP99 = Percentiles.At(transits, 0.99),
        };
    }

    /// <summary>One connection until there is nothing more to ask, or until something goes wrong.</summary>
    private static async Task<Loop> AskAsync(TurnConnection client, bool stream, Func<(int Index, byte[] Request)?> next, Action<int, TurnConnection> answered)
    {
        var loop = new Loop([], []);
        try
        {
            while (next() is { } turn)
            {
                var sent = Stopwatch.GetTimestamp();
                if (!await client.AskAsync(turn.Request, stream))
                {
                    Console.Error.WriteLine($"not a whole 200: {client.Head.Split('\r')[0]}");
                    return loop with { HasFailed = true };
                }

                loop.Totals.Add(Stopwatch.GetTimestamp() - sent);
                if (stream)
                {
                    loop.FirstBytes.Add(client.FirstEventAt - sent);
                }

                answered(turn.Index, client);
            }
        }
        catch (Exception exception) when (exception is SocketException or FormatException)
        {
            Console.Error.WriteLine($"no answer: {exception.Message}");
            return loop with { HasFailed = true };
        }

        return loop;
    }

    private static double[] Sorted(IEnumerable<long> ticks) => [.. ticks.Select(tick => tick * 1e6 / Stopwatch.Frequency).Order()];

    private sealed record Loop(List<long> Totals, List<long> FirstBytes, bool HasFailed = false);
}
