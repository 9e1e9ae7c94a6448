using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Users;

/// <summary>
/// How much of an owner is stored: <c>users.stored_bytes</c>, which is kept by triggers, and by <see cref="OwnerCounters"/>. It is asked inside the transaction that would
/// add to it, so that many writes at once cannot pass the limit together.
/// </summary>
internal static class StoredBytes
{
    private const string Select = "SELECT stored_bytes FROM users WHERE user_id = ?1";

    /// <summary>True when <paramref name="more"/> bytes do not fit any more.</summary>
    public static bool AreExceeded(PreparedConnection database, UserScope scope, long more) =>
        scope is { Owner: { } owner, MaxStoredBytes: { } limit } && (database.Number(Select, owner) ?? 0) + more > limit;
}
