using System.Globalization;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.RateLimits;

/// <summary>What one subject (a key, or an owner of tokens) uses: its buckets, its turns under way, and its totals by day, which storage keeps.</summary>
/// <param name="subject">See <see cref="Identity.CallerIdentity.Subject"/>.</param>
internal sealed class LimitAccount(string subject)
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, (long Tokens, long Requests)> _used = new(StringComparer.Ordinal);
    private TokenBucket? _requests;
    private TokenBucket? _tokens;
    private TaskCompletionSource _turnEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _turns;
    private long _reserved;
    private bool _isDirty;

    public string Subject => subject;

    /// <summary>The name under which this account's totals are stored: each process, and each account that was forgotten and made anew, counts for itself.</summary>
    public string Source { get; } = Guid.NewGuid().ToString("N");

    /// <summary>What all others have stored, and when it was read.</summary>
    public (Usage Usage, long At)? Known { get; set; }

    public static string DayOf(DateTimeOffset now) => now.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    /// <summary>Puts limits in force; they may have been changed since the last request.</summary>
    public void Apply(KeyLimits limits, DateTimeOffset now)
    {
        lock (_lock)
        {
            _requests = Sized(_requests, limits.RequestsPerMinute, now);
            _tokens = Sized(_tokens, limits.TokensPerMinute, now);
        }
    }

    /// <summary>Counts a request, when it is within the limit.</summary>
    public bool TryRequest(DateTimeOffset now, out TimeSpan wait)
    {
        lock (_lock)
        {
            wait = default;
            if (_requests?.TryTake(1, now, out var missing) == false)
            {
                wait = missing ?? TimeSpan.FromMinutes(1);
                return false;
            }

            Add(now, tokens: 0, requests: 1);
            return true;
        }
    }

    /// <summary>Takes a place for a turn. Without one: the task that ends when a place may have become free.</summary>
    public Task? TryBeginTurn(long? limit)
    {
        lock (_lock)
        {
            if (_turns >= limit)
            {
                return _turnEnded.Task;
            }

            _turns++;
            return null;
        }
    }

    public void EndTurn()
    {
        TaskCompletionSource ended;
        lock (_lock)
        {
            _turns--;
            (ended, _turnEnded) = (_turnEnded, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        ended.TrySetResult();
    }

    /// <summary>Reserves what a turn is estimated to need of the minute.</summary>
    public bool TryReserve(long tokens, DateTimeOffset now, out TimeSpan? wait)
    {
        lock (_lock)
        {
            wait = default;
            if (_tokens?.TryTake(tokens, now, out wait) == false)
            {
                return false;
            }

            _reserved += tokens;
            return true;
        }
    }

    /// <summary>Replaces the estimate by what was really used.</summary>
    public void Settle(long reserved, long used, DateTimeOffset now)
    {
        lock (_lock)
        {
            _reserved -= reserved;
            _tokens?.Give(reserved - used, now);
            if (used > 0)
            {
                Add(now, used, requests: 0);
            }
        }
    }

    /// <summary>What this account used and reserved, of the day and of its month.</summary>
    public (long OfDay, long OfMonth) Tokens(string day)
    {
        lock (_lock)
        {
            var ofMonth = _used.Where(used => used.Key.StartsWith(day[..7], StringComparison.Ordinal)).Sum(used => used.Value.Tokens);
            return (_used.GetValueOrDefault(day).Tokens + _reserved, ofMonth + _reserved);
        }
    }

    /// <summary>The totals of the days that changed since they were last reported, which is every day not yet over: few.</summary>
    public IReadOnlyList<UsageTotal> TakeTotals(string today)
    {
        lock (_lock)
        {
            if (!_isDirty)
            {
                return [];
            }

            _isDirty = false;
            var totals = _used.Select(used => new UsageTotal { Subject = subject, Day = used.Key, Source = Source, Tokens = used.Value.Tokens, Requests = used.Value.Requests }).ToList();
            foreach (var past in _used.Keys.Where(day => !day.StartsWith(today[..7], StringComparison.Ordinal) && string.CompareOrdinal(day, today) < 0).ToList())
            {
                _used.Remove(past);
            }

            return totals;
        }
    }

    /// <summary>They were not stored: they are reported again.</summary>
    public void PutBack(IEnumerable<UsageTotal> totals)
    {
        lock (_lock)
        {
            _isDirty = true;
            foreach (var total in totals)
            {
                _used.TryAdd(total.Day, (total.Tokens, total.Requests));
            }
        }
    }

    /// <summary>True when nothing is lost if it is made anew.</summary>
    public bool IsIdle(DateTimeOffset now)
    {
        lock (_lock)
        {
            return _turns == 0 && !_isDirty && (_requests?.UntilFull(now) ?? default) == default && (_tokens?.UntilFull(now) ?? default) == default;
        }
    }

    /// <summary>
    /// OpenAI's headers (developers.openai.com/api/docs/guides/rate-limits): <c>x-ratelimit-limit-requests: 60</c>, <c>-remaining-requests: 59</c>,
    /// <c>-reset-requests: 1s</c>, and the same of tokens.
    /// </summary>
    public void WriteHeaders(IHeaderDictionary headers, DateTimeOffset now)
    {
        lock (_lock)
        {
            Write("requests", _requests);
            Write("tokens", _tokens);
        }

        void Write(string what, TokenBucket? bucket)
        {
            if (bucket is not null)
            {
                headers[$"x-ratelimit-limit-{what}"] = bucket.Limit.ToString(CultureInfo.InvariantCulture);
                headers[$"x-ratelimit-remaining-{what}"] = bucket.Remaining(now).ToString(CultureInfo.InvariantCulture);
                headers[$"x-ratelimit-reset-{what}"] = RateLimitErrors.Duration(bucket.UntilFull(now));
            }
        }
    }

    private void Add(DateTimeOffset now, long tokens, long requests)
    {
        var day = DayOf(now);
        var used = _used.GetValueOrDefault(day);
        _used[day] = (used.Tokens + tokens, used.Requests + requests);
        _isDirty = true;
    }

    private static TokenBucket? Sized(TokenBucket? bucket, long? limit, DateTimeOffset now)
    {
        if (limit is not { } perMinute)
        {
            return null;
        }

        bucket ??= new TokenBucket(perMinute, now);
        if (bucket.Limit != perMinute)
        {
            bucket.Resize(perMinute, now);
        }

        return bucket;
    }
}
