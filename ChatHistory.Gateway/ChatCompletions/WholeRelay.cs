using System.Buffers;
using System.Text;
using System.Text.Json;
using ChatHistory.Gateway.Upstream;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>Reads an answer that comes as one JSON body. It is sent on, unchanged but for <c>session_id</c>, once its turn is committed.</summary>
internal sealed class WholeRelay(TimeProvider time, IOptions<VllmOptions> options)
{
    private const int MaxBodyBytes = 64 * 1024 * 1024;

    /// <summary>Reads the whole body and lets the observer look at it.</summary>
    /// <param name="stop">Fires when the client has left or the gateway must stop.</param>
    /// <returns>How it ended, and the body when it is a completion.</returns>
    public async Task<(RelayResult Result, ReadOnlyMemory<byte> Body)> ReadAsync(
        HttpResponseMessage response, CompletionObserver observer, CancellationToken stop, CancellationToken shutdown)
    {
        await using var upstream = await UpstreamReader.OpenAsync(response, options.Value.IdleTimeout, time);
        while (true)
        {
            switch (await upstream.ReadAsync(stop))
            {
                case ReadOutcome.Arrived when upstream.Buffer.Length > MaxBodyBytes:
                    return (RelayResult.Failed(UpstreamErrors.TooLarge(MaxBodyBytes)), default);
                case ReadOutcome.Arrived:
                    upstream.Advance(upstream.Buffer.Start);
                    break;
                case ReadOutcome.Ended:
                    var body = upstream.Buffer.ToArray();
                    upstream.Advance(upstream.Buffer.End);
                    return (Judge(body, observer), body);
                case ReadOutcome.Idle:
                    return (RelayResult.Idle(UpstreamErrors.Idle(options.Value.IdleTimeout)), default);
                case ReadOutcome.Stopped:
                    return (shutdown.IsCancellationRequested ? RelayResult.ShuttingDown : RelayResult.ClientLeft, default);
                case ReadOutcome.Broken:
                    return (RelayResult.Failed(UpstreamErrors.EndedEarly(), upstream.Exception), default);
            }
        }
    }

    /// <summary>The body with <c>"session_id"</c> as its last member. All other bytes stay as they came.</summary>
    public static async Task SendAsync(HttpResponse response, ReadOnlyMemory<byte> body, string? sessionId)
    {
        // Whatever follows the object's last brace is white space: the observer has read it as JSON.
        var end = sessionId is null ? body.Length : body.Span.LastIndexOf((byte)'}');
        var tail = sessionId is null ? [] : Encoding.UTF8.GetBytes($",\"session_id\":\"{JsonEncodedText.Encode(sessionId)}\"}}");

        response.ContentType = "application/json";
        response.ContentLength = end + tail.Length;
        response.BodyWriter.Write(body.Span[..end]);
        response.BodyWriter.Write(tail);
        await response.BodyWriter.FlushAsync(CancellationToken.None);
    }

    private static RelayResult Judge(ReadOnlySpan<byte> body, CompletionObserver observer) => observer.Observe(body) switch
    {
        ChunkKind.Content when observer.Complete => RelayResult.Completed,
        ChunkKind.Error => RelayResult.Failed(observer.Error!),
        _ => RelayResult.Failed(UpstreamErrors.NotACompletion()),
    };
}
