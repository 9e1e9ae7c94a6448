using System.Buffers;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Admission;

/// <summary>
/// Sends to a client with a limit on how long it may take nothing (<c>Limits:ClientStallTimeout</c>). Kestrel's own limit is on the mean rate since
/// the connection began: a client that took a megabyte quickly may then stop reading for a quarter of an hour, and holds whatever waits for it.
/// </summary>
internal static class ClientStall
{
    private const int PieceBytes = 64 * 1024;

    /// <summary>What was written goes out; completes when the client has taken most of it, or is cut off.</summary>
    public static ValueTask FlushAsync(this HttpContext context)
    {
        var flush = context.Response.BodyWriter.FlushAsync(CancellationToken.None);
        if (!flush.IsCompletedSuccessfully)
        {
            return WaitAsync(context, flush.AsTask());
        }

        // Taken, as a ValueTask must be.
        _ = flush.Result;
        return ValueTask.CompletedTask;
    }

    /// <summary>Sends a long body in pieces: what counts is that the client goes on taking them. The last one leaves together with the tail.</summary>
    public static async ValueTask SendAsync(this HttpContext context, ReadOnlyMemory<byte> body, ReadOnlyMemory<byte> tail = default)
    {
        for (; body.Length > PieceBytes && !context.RequestAborted.IsCancellationRequested; body = body[PieceBytes..])
        {
            context.Response.BodyWriter.Write(body.Span[..PieceBytes]);
            await context.FlushAsync();
        }

        if (!context.RequestAborted.IsCancellationRequested)
        {
            context.Response.BodyWriter.Write(body.Span);
            context.Response.BodyWriter.Write(tail.Span);
            await context.FlushAsync();
        }
    }

    private static async ValueTask WaitAsync(HttpContext context, Task flush)
    {
        var services = context.RequestServices;
        var limit = services.GetRequiredService<IOptions<LimitsOptions>>().Value.ClientStallTimeout;
        await flush.WaitAsync(limit, services.GetRequiredService<TimeProvider>()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!flush.IsCompleted)
        {
            context.Abort();
        }

        // After the cut it completes, too.
        await flush;
    }
}
