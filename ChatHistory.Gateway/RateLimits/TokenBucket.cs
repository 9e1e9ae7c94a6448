namespace ChatHistory.Gateway.RateLimits;

/// <summary>
/// An amount per minute: a bucket of that size, which fills up evenly. Pure: the time is given. It may be taken below empty when what was really
/// used is more than was estimated; then it fills up for longer.
/// </summary>
internal sealed class TokenBucket(long perMinute, DateTimeOffset now)
{
    private double _level = perMinute;
    private DateTimeOffset _at = now;

    public long Limit { get; private set; } = perMinute;

    /// <summary>Another size from now on. What was used stays used.</summary>
    public void Resize(long perMinute, DateTimeOffset now)
    {
        Fill(now);
        _level += perMinute - Limit;
        Limit = perMinute;
    }

    /// <summary>Takes an amount, or says how long to wait for it; null for one that never fits.</summary>
    public bool TryTake(long amount, DateTimeOffset now, out TimeSpan? wait)
    {
        Fill(now);
        wait = amount > Limit ? null : TimeToFill(amount - _level);
        if (amount > Limit || _level < amount)
        {
            return false;
        }

        _level -= amount;
        return true;
    }

    /// <summary>Gives back, or takes what was used beyond the estimate (a negative amount).</summary>
    public void Give(long amount, DateTimeOffset now)
    {
        Fill(now);
        _level = Math.Min(Limit, _level + amount);
    }

    public long Remaining(DateTimeOffset now)
    {
        Fill(now);
        return Math.Max(0, (long)_level);
    }

    /// <summary>How long until it is full again.</summary>
    public TimeSpan UntilFull(DateTimeOffset now)
    {
        Fill(now);
        return TimeToFill(Limit - _level);
    }

    private TimeSpan TimeToFill(double missing) => missing <= 0 ? TimeSpan.Zero : TimeSpan.FromTicks((long)Math.Ceiling(missing * TimeSpan.TicksPerMinute / Limit));

    private void Fill(DateTimeOffset now)
    {
        // A clock that was set back fills nothing and takes nothing.
        if (now > _at)
        {
            _level = Math.Min(Limit, _level + ((double)(now - _at).Ticks * Limit / TimeSpan.TicksPerMinute));
        }

        _at = now;
    }
}
