using System.Runtime.CompilerServices;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Relay;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Runs;

/// <summary>
/// Reads the frames of a run from a number on, wherever they are: in the run's log while it lives on this gateway, else in storage, which is
/// asked again until the answer is over.
/// </summary>
internal sealed class RunEvents(RunRegistry runs, StoredRuns stored, TimeProvider time)
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(15);

    /// <summary>The frames above <paramref name="after"/> as they come. A null frame is a sign of life; the last item says how it ended.</summary>
    public async IAsyncEnumerable<RunEvent> ReadAsync(string runId, Scope scope, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (runs.Find(runId, scope) is { IsStream: true } run)
        {
            while (true)
            {
                var more = run.Frames.WaitAsync((int)Math.Min(after, int.MaxValue), cancellationToken);
                while (await Task.WhenAny(more, Task.Delay(s_heartbeat, time, cancellationToken)) != more)
                {
                    yield return new RunEvent(after, null);
                }

                if (!await more)
                {
                    break;
                }

                foreach (var frame in run.Frames.After((int)after))
                {
                    yield return new RunEvent(++after, frame);
                }
            }

            var result = await run.Ended.WaitAsync(cancellationToken);
            yield return new RunEvent(after, null) { IsEnd = true, Error = result.Outcome == RelayOutcome.ClientLeft ? null : result.Error };
            yield break;
        }

        while (true)
        {
            var read = await stored.ReadAsync(scope, runId, after, cancellationToken);
            if (read is { Frames.Count: 0, Status: not TurnStatus.InProgress } && after == 0)
            {
                read = await stored.ReadWholeAsync(scope, runId, cancellationToken);
            }

            foreach (var (number, frame) in read.Frames)
            {
                after = number;
                yield return new RunEvent(number, frame);
            }

            if (read.Status != TurnStatus.InProgress)
            {
                yield return new RunEvent(after, null) { IsEnd = true, Error = read.Failure };
                yield break;
            }

            yield return new RunEvent(after, null);
            await Task.Delay(s_poll, time, cancellationToken);
        }
    }
}

/// <param name="Number">Of the frame; of the last one before a sign of life or the end.</param>
/// <param name="Frame">The model's frame; null for a sign of life and the end.</param>
internal sealed record RunEvent(long Number, byte[]? Frame)
{
    public bool IsEnd { get; init; }

    /// <summary>Why there is no proper end.</summary>
    public OpenAIError? Error { get; init; }
}
