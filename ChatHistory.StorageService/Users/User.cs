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
}
