using System.Buffers;
using ChatHistory.Gateway.Runs;
using ChatHistory.Gateway.Upstream;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Relay;

/// <summary>Reads an answer that comes as one JSON body. It is sent on once its turn is committed.</summary>
internal sealed class WholeRelay(TimeProvider time, IOptions<VllmOptions> options)
{
    /// <summary>Reads the whole body and lets the observer look at it.</summary>
    /// <returns>How it ended, and the body when it is a completion.</returns>
    public async Task<(RelayResult Result, ReadOnlyMemory<byte> Body)> ReadAsync(HttpResponseMessage response, Run run)
    {
        await using var upstream = await UpstreamReader.OpenAsync(response, options.Value.IdleTimeout, time);
        while (true)
        {
            switch (await upstream.ReadAsync(run.Stopping))
            {
                case ReadOutcome.Arrived or ReadOutcome.Ended when upstream.Buffer.Length > options.Value.MaxAnswerBytes:
                    return (RelayResult.Failed(UpstreamErrors.TooLarge(options.Value.MaxAnswerBytes)), default);
                case ReadOutcome.Arrived when run.Turn.Elapsed > options.Value.MaxAnswerTime:
                    return (RelayResult.Failed(UpstreamErrors.TimedOut(options.Value.MaxAnswerTime)), default);
                case ReadOutcome.Arrived:
                    upstream.Advance(upstream.Buffer.Start);
                    break;
                case ReadOutcome.Ended:
                    var body = upstream.Buffer.ToArray();
                    upstream.Advance(upstream.Buffer.End);
                    return (Judge(body, run.Observer), body);
                case ReadOutcome.Idle:
                    return (RelayResult.Idle(UpstreamErrors.Idle(options.Value.IdleTimeout)), default);
                case ReadOutcome.Stopped:
                    return (run.StopResult, default);
                case ReadOutcome.Broken:
                    return (RelayResult.Failed(UpstreamErrors.EndedEarly(), upstream.Exception), default);
            }
        }
    }

    private RelayResult Judge(ReadOnlySpan<byte> body, CompletionObserver observer) => observer.Observe(body) switch
    {
        ChunkKind.Content when observer.Complete => RelayResult.Completed,
        ChunkKind.Error => RelayResult.Failed(observer.Error!.Without(options.Value.ApiKey)),
        _ => RelayResult.Failed(UpstreamErrors.NotACompletion()),
    };
}
