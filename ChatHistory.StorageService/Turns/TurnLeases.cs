using System.Collections.Concurrent;

namespace ChatHistory.StorageService.Turns;

/// <summary>When each turn in progress was last written to: by this process's steady clock, because the wall clock jumps.</summary>
/// <remarks>Kept in memory: a start marks all turns in progress as interrupted, and their gateways renew those that live.</remarks>
internal sealed class TurnLeases(TimeProvider time)
{
    private readonly ConcurrentDictionary<string, long> _renewed = new(StringComparer.Ordinal);

    /// <summary>Called for each sign of life, before it is written.</summary>
    public void Renew(string? answerMessageId)
    {
        if (answerMessageId is not null)
        {
            _renewed[answerMessageId] = time.GetTimestamp();
        }
    }

    /// <summary>True when the last sign of life is that old. A turn that is seen for the first time gets its lease now: another tool may have written it.</summary>
    public bool IsOlderThan(TimeSpan age, string answerMessageId) =>
        time.GetElapsedTime(_renewed.GetOrAdd(answerMessageId, static (_, clock) => clock.GetTimestamp(), time)) > age;

    public void ForgetOlderThan(TimeSpan age)
    {
        foreach (var lease in _renewed)
        {
            if (time.GetElapsedTime(lease.Value) > age)
            {
                // Only if it was not renewed meanwhile.
                _renewed.TryRemove(lease);
            }
        }
    }
}
