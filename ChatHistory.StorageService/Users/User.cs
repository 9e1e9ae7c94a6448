namespace ChatHistory.StorageService.Users;

/// <summary>A row of <c>users</c>: an owner of sessions.</summary>
internal sealed class User
{
    public required string UserId { get; init; }

    public string? Username { get; init; }

    public string? CreatedAt { get; init; }

    public string? LastActive { get; init; }

    /// <summary>Kept by triggers on <c>sessions</c>, so that a page's total is never counted.</summary>
    public long SessionCount { get; init; }

    /// <summary>
    /// Bytes of what the user's messages and sessions say, in UTF-8, kept by triggers on both tables. Quotas are judged by it. Not in it is what
    /// the database needs around it (indexes, ids), and the frames of streamed answers, which are kept for a day.
    /// </summary>
    public long StoredBytes { get; init; }
}
