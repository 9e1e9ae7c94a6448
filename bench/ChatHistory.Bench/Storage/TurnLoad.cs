using ChatHistory.Storage.V1;

namespace ChatHistory.Bench.Storage;

/// <summary>Producers that write turns one after the other, as callers of the gateway do: begin, wait for the commit, complete, wait for the commit.</summary>
/// <param name="turns">The storage service.</param>
/// <param name="turnsPerSession">How many turns each session gets before its producer begins another one.</param>
internal sealed class TurnLoad(Turns.TurnsClient turns, int turnsPerSession)
{
    private long _number;

    public async Task<LoadResult> RunAsync(int producers, TimeSpan warmUp, TimeSpan duration)
    {
        await using var batcher = new TurnBatcher(turns);
        return await Load.RunAsync(producers, warmUp, duration, (producer, commit) => ProduceAsync(batcher, producer, commit));
    }

    private async Task ProduceAsync(TurnBatcher batcher, int producer, CommitLog commits)
    {
        var userId = $"bench-user-{producer}";
        string? sessionId = null;
        for (var turn = 0; !commits.IsOver; turn++)
        {
            var number = Interlocked.Increment(ref _number);
            sessionId = turn % turnsPerSession == 0 ? null : sessionId;
            // One message each: the question with the first commit, the answer with the second.
            var begun = await commits.TimeAsync(() => batcher.WriteAsync(Turn.Begin(userId, sessionId, number)));
            sessionId = begun.TurnBegun.SessionId;
            await commits.TimeAsync(() => batcher.WriteAsync(Turn.Complete(userId, begun.TurnBegun, number)));
        }
    }
}
