using System.Buffers;
using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.Upstream;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>Relays a streamed answer: bytes pass unchanged, a copy is observed, and the end waits for the commit.</summary>
/// <remarks>
/// <code>
///   model server ──▶ (2) read ──▶ (3) cut into frames ──▶ (5) relay or hold ──▶ (6) flush ──▶ client
///                                        │                        │
///                                        ▼                        ▼
///                               (4) observe a copy        (8) released after
///                                        │                    the commit
///                                        ▼                        ▲
///                              (7) checkpoint ──▶ storage ◀── (8) complete
/// </code>
/// <list type="number">
/// <item>Send the headers: the client knows its ids, and its timeout for headers stands still.</item>
/// <item>Read what has arrived. After 15 s of silence send a comment, which clients skip and proxies count as life.</item>
/// <item>Cut it into frames.</item>
/// <item>Let the observer look at each frame's data. It sees before the client does, because only so can the end be held back.</item>
/// <item>Pass the frame's bytes on, unless it is the usage that the client did not ask for. From the last finish_reason on, hold frames back.</item>
/// <item>Flush: no frame that is here waits for one that is not.</item>
/// <item>Save what has gathered, at most every second or 64 chunks, without waiting for it.</item>
/// <item>At the end commit the turn; then release the held frames. If the turn failed, or could not be committed, send an error instead and cut the
/// connection: without [DONE] and without the chunked terminator, because only then do the official SDKs raise.</item>
/// </list>
/// When the client leaves, the model is stopped and the partial answer kept; with <c>on_disconnect: continue</c> the relay goes on without it.
/// </remarks>
internal sealed class StreamRelay(TimeProvider time, IOptions<VllmOptions> options)
{
    private const int MaxFrameBytes = 64 * 1024 * 1024;
    private static readonly byte[] s_heartbeat = ": ping\n\n"u8.ToArray();
    private static readonly byte[] s_done = "data: [DONE]\n\n"u8.ToArray();

    /// <param name="response">The model server's answer: status 200, text/event-stream.</param>
    /// <param name="shutdown">Fires when the gateway must stop now.</param>
    public async Task<RelayResult> RelayAsync(
        HttpResponseMessage response, HttpContext context, ChatCompletionRequest request, Turn turn, CompletionObserver observer, CancellationToken shutdown)
    {
        var client = context.Response.BodyWriter;
        var clientLeft = context.RequestAborted;
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(shutdown, request.ContinueWithoutClient ? CancellationToken.None : clientLeft);
        await using var upstream = await UpstreamReader.OpenAsync(response, options.Value.IdleTimeout, time);

        // Step 1: headers.
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
        // Tells nginx in front of us not to gather frames.
        context.Response.Headers["X-Accel-Buffering"] = "no";
        await client.FlushAsync(CancellationToken.None);

        var held = new ArrayBufferWriter<byte>();
        var done = false;
        RelayResult? result = null;
        while (result is null)
        {
            // Step 2: read.
            var outcome = await upstream.ReadAsync(stopping.Token);
            if (outcome == ReadOutcome.Silent)
            {
                client.Write(s_heartbeat);
                await client.FlushAsync(CancellationToken.None);
                continue;
            }

            if (outcome is ReadOutcome.Arrived or ReadOutcome.Ended)
            {
                // Step 3: cut into frames. At the end, what is left is one more, even without its blank line.
                var buffer = upstream.Buffer;
                while (!done && result is null && TryTakeFrame(ref buffer, out var frame, ended: outcome == ReadOutcome.Ended))
                {
                    // Step 4: observe.
                    var kind = observer.Observe(SseFrames.Data(frame).Span);

                    // Step 5: relay or hold.
                    done = kind == ChunkKind.Done;
                    if (kind == ChunkKind.Error)
                    {
                        result = RelayResult.Failed(observer.Error!);
                    }
                    else if (kind != ChunkKind.UsageOnly || request.UsageAsked)
                    {
                        Write(observer.Finished || done ? held : client, frame);
                    }
                }

                if (buffer.Length > MaxFrameBytes)
                {
                    result = RelayResult.Failed(UpstreamErrors.TooLarge(MaxFrameBytes));
                }

                upstream.Advance(buffer.Start);

                // Step 6: flush.
                await client.FlushAsync(CancellationToken.None);

                // Step 7: save what has gathered.
                turn.ChunkRelayed(observer);
            }

            result ??= Judge(outcome, done, observer, upstream.Exception, clientLeft, shutdown);
        }

        // Step 8: commit, then release.
        if (done)
        {
            upstream.ReadAhead();
        }

        result = await CommitAsync(turn, result, observer);
        if (result.Outcome == RelayOutcome.Completed)
        {
            client.Write(held.WrittenSpan);
            if (!done)
            {
                client.Write(s_done);
            }

            await client.FlushAsync(CancellationToken.None);
        }
        else if (!clientLeft.IsCancellationRequested && result.Error is { } error)
        {
            await CutAsync(context, error);
        }

        return result;
    }

    private static bool TryTakeFrame(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> frame, bool ended)
    {
        if (SseFrames.TryRead(ref buffer, out frame))
        {
            return true;
        }

        if (!ended || buffer.IsEmpty)
        {
            return false;
        }

        frame = buffer;
        buffer = buffer.Slice(buffer.End);
        return true;
    }

    private static void Write(IBufferWriter<byte> to, in ReadOnlySequence<byte> frame)
    {
        foreach (var segment in frame)
        {
            to.Write(segment.Span);
        }
    }

    /// <summary>Whether the answer is over after a read, and how. Null: it goes on.</summary>
    private RelayResult? Judge(
        ReadOutcome outcome, bool done, CompletionObserver observer, Exception? exception, CancellationToken clientLeft, CancellationToken shutdown)
    {
        if (outcome == ReadOutcome.Arrived && !done)
        {
            return null;
        }

        // Every choice has its finish_reason: the answer is whole, however the connection ended.
        // [DONE] alone proves nothing: vLLM sends it after errors, too.
        if (observer.Complete)
        {
            return RelayResult.Completed;
        }

        return outcome switch
        {
            ReadOutcome.Stopped when shutdown.IsCancellationRequested => RelayResult.ShuttingDown,
            ReadOutcome.Stopped when clientLeft.IsCancellationRequested => RelayResult.ClientLeft,
            ReadOutcome.Idle => RelayResult.Idle(UpstreamErrors.Idle(options.Value.IdleTimeout)),
            _ => RelayResult.Failed(UpstreamErrors.EndedEarly(), exception),
        };
    }

    private static async Task<RelayResult> CommitAsync(Turn turn, RelayResult result, CompletionObserver observer)
    {
        try
        {
            await turn.CompleteAsync(result, observer);
            return result;
        }
        catch (StorageUnavailableException exception)
        {
            return RelayResult.Failed(OpenAIError.StorageUnavailable(), exception);
        }
    }

    private static async Task CutAsync(HttpContext context, OpenAIError error)
    {
        var client = context.Response.BodyWriter;
        client.Write("data: "u8);
        client.Write(JsonSerializer.SerializeToUtf8Bytes(error.ToEnvelope(), ErrorsJsonContext.Wire.ErrorEnvelope));
        client.Write("\n\n"u8);
        await client.FlushAsync(CancellationToken.None);
        context.Cut(error);
    }
}
