using ChatHistory.StorageService.Database;
using Google.Protobuf;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.ApiKeys;

/// <summary>A row of <c>api_keys</c>. Holds the key's hash only; the key itself never reaches this service.</summary>
internal sealed class ApiKey
{
    public const string DefaultRole = "user";
    public const string AdminRole = "admin";

    /// <summary>The columns that <see cref="Read"/> reads, in its order.</summary>
    private const string Columns =
        """
        key_id, user_id, name, hash, created_at, expires_at, revoked_at, role,
        requests_per_minute, tokens_per_minute, concurrent_turns, tokens_per_day, tokens_per_month, stored_bytes
        """;

    internal const string SelectById = $"SELECT {Columns} FROM api_keys WHERE key_id = ?1";
    private const string SelectAll = $"SELECT {Columns} FROM api_keys ORDER BY user_id, created_at, key_id";
    internal const string SelectOfUser = $"SELECT {Columns} FROM api_keys WHERE user_id = ?1 ORDER BY created_at, key_id";

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

    public static ApiKey? Find(PreparedConnection database, string keyId)
    {
        using var row = database.Query(SelectById, keyId);
        return row.Read() ? Read(row) : null;
    }

    /// <summary>A user's keys, oldest first; with no user everybody's, by user.</summary>
    public static List<ApiKey> List(PreparedConnection database, string? userId)
    {
        List<ApiKey> keys = [];
        using var rows = userId is null ? database.Query(SelectAll) : database.Query(SelectOfUser, userId);
        while (rows.Read())
        {
            keys.Add(Read(rows));
        }

        return keys;
    }

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

    /// <summary>Reads <see cref="Columns"/>.</summary>
    private static ApiKey Read(Rows row) => new()
    {
        KeyId = row.GetString(0),
        UserId = row.GetText(1),
        Name = row.GetString(2),
        Hash = row.GetBlob(3) ?? [],
        CreatedAt = row.GetText(4),
        ExpiresAt = row.GetText(5),
        RevokedAt = row.GetText(6),
        Role = row.GetString(7),
        RequestsPerMinute = row.GetNumber(8),
        TokensPerMinute = row.GetNumber(9),
        ConcurrentTurns = row.GetNumber(10),
        TokensPerDay = row.GetNumber(11),
        TokensPerMonth = row.GetNumber(12),
        StoredBytes = row.GetNumber(13),
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
