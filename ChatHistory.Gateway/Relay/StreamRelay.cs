using System.Buffers;
using ChatHistory.Gateway.Context;
using ChatHistory.Gateway.Runs;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.Turns;
using ChatHistory.Gateway.Upstream;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Relay;

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
/// <item>Let the observer look at each frame's data, and keep a copy of the frame in the run's log, from which others can follow. Both see it
/// before the client does, because only so can the end be held back.</item>
/// <item>Pass the frame on. From the last finish_reason on, hold frames back.</item>
/// <item>Flush: no frame that is here waits for one that is not. A client that reads slowly holds up nobody (<see cref="ClientFlow"/>).</item>
/// <item>Save what has gathered, every second and where the client has more than 64 chunks that are not saved, without waiting for it; but nothing more is read while the client is that far ahead and the save is under way.</item>
/// <item>At the end commit the turn; then release the held frames. If the turn failed, or could not be committed, the client is told, and its
/// connection cut: without [DONE] and without the chunked terminator, because only then do the official SDKs raise.</item>
/// </list>
/// When everybody has left, or somebody asked for it, the run stops: the model is stopped and the partial answer kept.
/// </remarks>
internal sealed class StreamRelay(UsageOnAbort usage, TimeProvider time, IOptions<VllmOptions> options)
{
    private const int MaxFrameBytes = 16 * 1024 * 1024;

    /// <param name="response">The model server's answer: status 200, text/event-stream.</param>
    /// <param name="writer">Who gets it.</param>
    public async Task<RelayResult> RelayAsync(HttpResponseMessage response, IAnswerWriter writer, Run run)
    {
        var (turn, observer) = (run.Turn, run.Observer);
        await using var upstream = await UpstreamReader.OpenAsync(response, options.Value.IdleTimeout, time);

        // Step 1: headers.
        await writer.StartAsync();
        var client = new ClientFlow(writer);

        var held = new List<(byte[] Frame, ChunkKind Kind)>();
        var done = false;
        var scanned = 0L;
        RelayResult? result = null;
        while (result is null)
        {
            // Step 2: read.
            var outcome = await upstream.ReadAsync(run.Stopping);
            if (outcome == ReadOutcome.Silent)
            {
                client.Heartbeat();
                continue;
            }

            if (outcome is ReadOutcome.Arrived or ReadOutcome.Ended)
            {
                // Step 3: cut into frames. At the end, what is left is one more, even without its blank line.
                var buffer = upstream.Buffer;
                while (!done && result is null && TryTakeFrame(ref buffer, out var frame, ended: outcome == ReadOutcome.Ended, scanned))
                {
                    scanned = 0;
                    // Step 4: observe.
                    var data = SseFrames.Data(frame);
                    var kind = observer.Observe(data.Span);
                    done = kind == ChunkKind.Done;
                    if (kind == ChunkKind.Error)
                    {
                        result = RelayResult.Failed(observer.Error!.Without(options.Value.ApiKey));
                        break;
                    }

                    var copy = kind is ChunkKind.Content or ChunkKind.UsageOnly ? frame.ToArray() : null;
                    if (copy is not null)
                    {
                        run.Frames.Add(copy);
                    }

                    // Step 5: relay or hold.
                    if (observer.Finished || done)
                    {
                        held.Add((copy ?? frame.ToArray(), kind));
                    }
                    else
                    {
                        client.Write(frame, data, kind, copy);
                    }
                }

                scanned = buffer.Length;

                if (buffer.Length > MaxFrameBytes)
                {
                    result = RelayResult.Failed(UpstreamErrors.TooLarge(MaxFrameBytes));
                }

                upstream.Advance(buffer.Start);

                // Step 6: flush.
                await client.FlushAsync(run.Stopping);

                // Step 7: save what has gathered.
                await turn.ChunkRelayedAsync(observer, run.Stopping);
            }

            result ??= Judge(outcome, done, observer, upstream, run);
        }

        // Step 8: commit, then release.
        if (done)
        {
            upstream.ReadAhead();
        }
        else if (result.Outcome != RelayOutcome.Completed)
        {
            upstream.Close();
            if (result.Outcome != RelayOutcome.UpstreamIdle)
            {
                // A server that fell silent would be waited for once more.
                await CountUsageAsync(run);
            }
        }

        result = await CommitAsync(turn, result, observer);
        // Whoever else waits for the end does not wait for this client.
        run.End(result);
        await client.CaughtUpAsync();
        if (result.IsAnswer)
        {
            foreach (var (frame, kind) in held)
            {
                var sequence = new ReadOnlySequence<byte>(frame);
                writer.Write(sequence, SseFrames.Data(sequence), kind);
            }

            await writer.EndAsync(result, observer);
        }
        else if (result.Error is { } error)
        {
            await writer.FailAsync(error, observer);
        }

        return result;
    }

    private static bool TryTakeFrame(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> frame, bool ended, long scanned)
    {
        if (SseFrames.TryRead(ref buffer, out frame, scanned))
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

    /// <summary>Whether the answer is over after a read, and how. Null: it goes on.</summary>
    private RelayResult? Judge(ReadOutcome outcome, bool done, CompletionObserver observer, UpstreamReader upstream, Run run)
    {
        if (outcome == ReadOutcome.Arrived && !done)
        {
            return upstream.Received > options.Value.MaxAnswerBytes || run.Turn.Elapsed > options.Value.MaxAnswerTime ? RelayResult.LimitReached : null;
        }

        // Every choice has its finish_reason: the answer is whole, however the connection ended.
        // [DONE] alone proves nothing: vLLM sends it after errors, too.
        if (observer.Complete)
        {
            return RelayResult.Completed;
        }

        return outcome switch
        {
            ReadOutcome.Stopped => run.StopResult,
            ReadOutcome.Idle => RelayResult.Idle(UpstreamErrors.Idle(options.Value.IdleTimeout)),
            _ => RelayResult.Failed(UpstreamErrors.EndedEarly(), upstream.Exception),
        };
    }

    /// <summary>vLLM tells the usage at the end of a stream; of one that was cut off it is asked for afterwards.</summary>
    private async Task CountUsageAsync(Run run)
    {
        if (run.Observer is { CompletionTokens: null, Choices.Count: > 0 } observer
            && await usage.CountAsync(run.UpstreamBody, observer.GeneratedText, CancellationToken.None) is var (prompt, completion))
        {
            observer.Count(prompt, completion);
        }
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
            return RelayResult.Failed(exception.Error, exception);
        }
    }
}
