using ChatHistory.StorageService.Database;
using Google.Protobuf;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.ApiKeys;

/// <summary>A row of <c>api_keys</c>. Holds the key's hash only; the key itself never reaches this service.</summary>
internal sealed class ApiKey
{
    public const string DefaultRole = "user";
    public const string AdminRole = "admin";

    public required string KeyId { get; init; }

    /// <summary>Null for an admin key: it owns nothing.</summary>
    public string? UserId { get; init; }

    public required string Name { get; init; }

    public required byte[] Hash { get; init; }

    public string? CreatedAt { get; init; }

    public string? ExpiresAt { get; init; }

    public string? RevokedAt { get; init; }

    public string Role { get; init; } = DefaultRole;

    public long? RequestsPerMinute { get; init; }

    public long? TokensPerMinute { get; init; }

    public long? ConcurrentTurns { get; init; }

    public long? TokensPerDay { get; init; }

    public long? TokensPerMonth { get; init; }

    public long? StoredBytes { get; init; }

    public V1.ApiKey ToContract() => new()
    {
        KeyId = KeyId,
        UserId = UserId ?? "",
        Name = Name,
        Hash = ByteString.CopyFrom(Hash),
        CreatedAt = UtcText.ToTimestamp(CreatedAt),
        ExpiresAt = ExpiresAt is null ? null : UtcText.ToTimestamp(ExpiresAt),
        RevokedAt = RevokedAt is null ? null : UtcText.ToTimestamp(RevokedAt),
        Role = Role,
        Limits = Limits(),
    };

    // Optional fields of protobuf cannot be set to null: absent is absent.
    private V1.KeyLimits Limits()
    {
        var limits = new V1.KeyLimits();
        Set(RequestsPerMinute, value => limits.RequestsPerMinute = value);
        Set(TokensPerMinute, value => limits.TokensPerMinute = value);
        Set(ConcurrentTurns, value => limits.ConcurrentTurns = value);
        Set(TokensPerDay, value => limits.TokensPerDay = value);
        Set(TokensPerMonth, value => limits.TokensPerMonth = value);
        Set(StoredBytes, value => limits.StoredBytes = value);
        return limits;
    }

    private static void Set(long? value, Action<long> set)
    {
        if (value is { } number)
        {
            set(number);
        }
    }
}
