using System.Collections.Concurrent;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.RateLimits;

/// <summary>
/// Keeps every key to its limits. What is counted by the minute is counted by each gateway for itself; what is counted by the day is stored
/// (<see cref="UsageReporter"/>) and known to all of them within a second or two.
/// </summary>
internal sealed class RateLimiter(ApiKeysClient storage, TimeProvider time)
{
    // Beyond it, accounts of which nothing is lost are made anew when they are needed.
    private const int MaxAccounts = 10_000;

    private static readonly TimeSpan s_usageKnownFor = TimeSpan.FromSeconds(1);

    // Between an answer's last byte and the end of its turn lie milliseconds, in which a client may already send the next request.
    private static readonly TimeSpan s_patienceForATurn = TimeSpan.FromMilliseconds(150);

    private readonly ConcurrentDictionary<string, LimitAccount> _accounts = new(StringComparer.Ordinal);

    public IEnumerable<LimitAccount> Accounts => _accounts.Values;

    /// <summary>The account of a caller, with the limits that are in force for it; null for one without any (personal mode, the admin key).</summary>
    public LimitAccount? AccountOf(CallerIdentity? caller)
    {
        if (caller?.Subject is not { } subject)
        {
            return null;
        }

        if (_accounts.Count > MaxAccounts)
        {
            Forget();
        }

        var account = _accounts.GetOrAdd(subject, static subject => new LimitAccount(subject));
        account.Apply(caller.Limits, time.GetUtcNow());
        return account;
    }

    /// <summary>Lets a turn begin, with a place among the caller's and its estimated tokens reserved. Dispose it when the turn has ended.</summary>
    /// <exception cref="OpenAIErrorException">It would go beyond one of the limits.</exception>
    public async Task<TurnAllowance> EnterTurnAsync(CallerIdentity? caller, TokenEstimate estimate, CancellationToken cancellationToken)
    {
        if (AccountOf(caller) is not { } account)
        {
            return TurnAllowance.Unlimited;
        }

        var limits = caller!.Limits;
        await CheckQuotaAsync(account, limits, estimate.Total, cancellationToken);
        await WaitForPlaceAsync(account, limits.ConcurrentTurns, cancellationToken);
        if (!account.TryReserve(estimate.Total, time.GetUtcNow(), out var wait))
        {
            account.EndTurn();
            throw wait is { } patience
                ? RateLimitErrors.Tokens(limits.TokensPerMinute!.Value, estimate.Total, patience)
                : RateLimitErrors.TooLarge(limits.TokensPerMinute!.Value, estimate.Total);
        }

        return new TurnAllowance(account, estimate, time);
    }

    private async Task WaitForPlaceAsync(LimitAccount account, long? limit, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (account.TryBeginTurn(limit) is { } ended)
        {
            var left = s_patienceForATurn - time.GetElapsedTime(began);
            if (left <= TimeSpan.Zero || await Task.WhenAny(ended, Task.Delay(left, time, cancellationToken)) != ended)
            {
                cancellationToken.ThrowIfCancellationRequested();
                throw RateLimitErrors.Turns(limit!.Value);
            }
        }
    }

    private async Task CheckQuotaAsync(LimitAccount account, KeyLimits limits, long wanted, CancellationToken cancellationToken)
    {
        if (!limits.HasQuota)
        {
            return;
        }

        var now = time.GetUtcNow();
        var day = LimitAccount.DayOf(now);
        if (account.Known is not var (known, at) || time.GetElapsedTime(at) >= s_usageKnownFor)
        {
            known = await storage.GetUsageAsync(
                new GetUsageRequest { Subject = account.Subject, Day = day, ExceptSource = account.Source }, deadline: time.Deadline(), cancellationToken: cancellationToken);
            account.Known = (known, time.GetTimestamp());
        }

        var (ofDay, ofMonth) = account.Tokens(day);
        var today = new DateTimeOffset(now.UtcDateTime.Date, TimeSpan.Zero);
        if (limits.TokensPerDay is { } perDay && known.TokensOfDay + ofDay + wanted > perDay)
        {
            throw RateLimitErrors.Quota("day", perDay, today.AddDays(1));
        }

        if (limits.TokensPerMonth is { } perMonth && known.TokensOfMonth + ofMonth + wanted > perMonth)
        {
            throw RateLimitErrors.Quota("month", perMonth, today.AddDays(1 - today.Day).AddMonths(1));
        }
    }

    private void Forget()
    {
        var now = time.GetUtcNow();
        foreach (var (subject, account) in _accounts)
        {
            if (account.IsIdle(now))
            {
                _accounts.TryRemove(KeyValuePair.Create(subject, account));
            }
        }
    }
}

/// <summary>What a turn may need, before it is known.</summary>
/// <param name="Prompt">Of what it sends; stored history comes on top, and is settled afterwards.</param>
/// <param name="Answer">Of the longest answer that it allows; 0 when it sets no limit.</param>
internal readonly record struct TokenEstimate(long Prompt, long Answer)
{
    /// <summary>Four bytes a token are common in English, and about right for JSON.</summary>
    public const int BytesPerToken = 4;

    public long Total => Prompt + Answer;

    public static TokenEstimate Of(ChatCompletions.ChatCompletionRequest completion) => new(
        completion.Messages.Sum(message => 4 + ((message.Content.Length + message.ToolCalls.Length) / BytesPerToken)),
        (MaxTokens(completion.Root) ?? 0) * completion.Choices);

    /// <summary>Of a body that passes through.</summary>
    public static TokenEstimate Of(System.Text.Json.JsonElement? body, long bytes) => new(bytes / BytesPerToken, body is { } root ? MaxTokens(root) ?? 0 : 0);

    private static long? MaxTokens(System.Text.Json.JsonElement body) => Number(body, "max_completion_tokens") ?? Number(body, "max_tokens");

    private static long? Number(System.Text.Json.JsonElement body, string name) =>
        body.TryGetProperty(name, out var value) && value.ValueKind == System.Text.Json.JsonValueKind.Number && value.TryGetInt64(out var number) && number > 0
            ? Math.Min(number, int.MaxValue)
            : null;
}

/// <summary>A turn that was let in. When it ends, its place is free and its estimate is replaced by what it used.</summary>
internal sealed class TurnAllowance(LimitAccount? account, TokenEstimate estimate, TimeProvider? time) : IDisposable
{
    private CompletionObserver? _observer;
    private long? _used;

    /// <summary>For callers without limits.</summary>
    public static TurnAllowance Unlimited => new(null, default, null);

    /// <summary>The answer whose usage counts. A turn that has none, because it was found or failed early, used nothing.</summary>
    public void Watch(CompletionObserver observer) => _observer = observer;

    /// <summary>What was used, where there is no observer.</summary>
    public void Settle(long used) => _used = used;

    public void Dispose()
    {
        if (account is not null)
        {
            account.Settle(estimate.Total, _used ?? Used(), time!.GetUtcNow());
            account.EndTurn();
        }
    }

    private long Used()
    {
        if (_observer is not { } observer)
        {
            return 0;
        }

        var generated = observer.CompletionTokens ?? (observer.GeneratedText.Length + TokenEstimate.BytesPerToken - 1) / TokenEstimate.BytesPerToken;
        return observer.PromptTokens is { } prompt ? prompt + generated
            : generated > 0 ? estimate.Prompt + generated
            : 0;
    }
}
