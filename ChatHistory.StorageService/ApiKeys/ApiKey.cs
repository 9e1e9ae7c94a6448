using ChatHistory.StorageService.Database;
using Google.Protobuf;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.ApiKeys;

/// <summary>A row of <c>api_keys</c>. Holds the key's hash only; the key itself never reaches this service.</summary>
internal sealed class ApiKey
{
    public required string KeyId { get; init; }

    public required string UserId { get; init; }

    public required string Name { get; init; }

    public required byte[] Hash { get; init; }

    public string? CreatedAt { get; init; }

    public string? ExpiresAt { get; init; }

    public string? RevokedAt { get; init; }

    public bool TrustedProxy { get; init; }

    public V1.ApiKey ToContract() => new()
    {
        KeyId = KeyId,
        UserId = UserId,
        Name = Name,
        Hash = ByteString.CopyFrom(Hash),
        CreatedAt = UtcText.ToTimestamp(CreatedAt),
        ExpiresAt = ExpiresAt is null ? null : UtcText.ToTimestamp(ExpiresAt),
        RevokedAt = RevokedAt is null ? null : UtcText.ToTimestamp(RevokedAt),
        TrustedProxy = TrustedProxy,
    };
}
