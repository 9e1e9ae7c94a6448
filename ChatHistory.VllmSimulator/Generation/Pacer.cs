using ChatHistory.VllmSimulator.Directives;

namespace ChatHistory.VllmSimulator.Generation;

/// <summary>
/// Keeps the pace of one generation. Due times are counted from its start, so a late token does not delay those after it.
/// </summary>
internal sealed class Pacer(Script script, TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();

    public TimeSpan Elapsed => time.GetElapsedTime(_start);

    /// <summary>Waits until the token at <paramref name="index"/> (from 0) is due.</summary>
    public ValueTask WaitForTokenAsync(int index, CancellationToken cancellationToken)
    {
        var due = script.TimeToFirstToken + (script.TimePerToken * index);
        if (due <= TimeSpan.Zero)
        {
            return ValueTask.CompletedTask;
        }

        var left = due - Elapsed;
        return left <= TimeSpan.Zero ? ValueTask.CompletedTask : new(Task.Delay(left, time, cancellationToken));
    }
}
