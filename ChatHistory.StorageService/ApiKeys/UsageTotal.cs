namespace ChatHistory.StorageService.ApiKeys;

/// <summary>A row of <c>usage</c>: what one subject used on one day, as one source counted it. The totals of all sources add up.</summary>
internal sealed class UsageTotal
{
    public required string Subject { get; init; }

    /// <summary>UTC, <c>2026-01-31</c>.</summary>
    public required string Day { get; init; }

    public required string Source { get; init; }

    public long Tokens { get; init; }

    public long Requests { get; init; }
}
