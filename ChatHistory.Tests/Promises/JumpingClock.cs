namespace ChatHistory.Tests.Promises;

/// <summary>A wall clock that somebody sets, or that stands still, beside a steady one: as on a machine whose time is corrected.</summary>
internal sealed class JumpingClock : TimeProvider
{
    private readonly Lock _lock = new();
    private TimeSpan _offset;
    private DateTimeOffset? _stands;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _stands ?? (System.GetUtcNow() + _offset);
        }
    }

    public void Jump(TimeSpan by)
    {
        lock (_lock)
        {
            _offset += by;
            _stands = null;
        }
    }

    /// <summary>Everything has the same time from now on.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _stands = System.GetUtcNow() + _offset;
        }
    }
}
