using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.ApiKeys;

internal sealed class UpdateApiKeyCommand(V1.UpdateApiKeyRequest request) : WriteCommand
{
    private const string Update =
        """
        UPDATE api_keys SET name = coalesce(?2, name), expires_at = CASE WHEN ?3 THEN ?4 ELSE expires_at END
        WHERE key_id = ?1
        """;

    private const string UpdateLimits =
        """
        UPDATE api_keys SET requests_per_minute = ?2, tokens_per_minute = ?3, concurrent_turns = ?4, tokens_per_day = ?5, tokens_per_month = ?6,
            stored_bytes = ?7
        WHERE key_id = ?1
        """;

    public bool Found { get; private set; }

    public override void Execute(PreparedConnection database, string now)
    {
        Found = database.Execute(
            Update,
            request.KeyId, request.HasName ? request.Name : null, request.SetExpiry,
            request.ExpiresAt is null ? null : UtcText.Of(request.ExpiresAt.ToDateTimeOffset())) > 0;
        if (Found && request.Limits is { } limits)
        {
            database.Execute(UpdateLimits, [request.KeyId, .. ValuesOf(limits)]);
        }
    }

    /// <summary>In the order of the columns.</summary>
    public static SqlValue[] ValuesOf(V1.KeyLimits? limits) => limits is null ? new SqlValue[6] :
    [
        limits.HasRequestsPerMinute ? limits.RequestsPerMinute : SqlValue.Null,
        limits.HasTokensPerMinute ? limits.TokensPerMinute : SqlValue.Null,
        limits.HasConcurrentTurns ? limits.ConcurrentTurns : SqlValue.Null,
        limits.HasTokensPerDay ? limits.TokensPerDay : SqlValue.Null,
        limits.HasTokensPerMonth ? limits.TokensPerMonth : SqlValue.Null,
        limits.HasStoredBytes ? limits.StoredBytes : SqlValue.Null,
    ];
}
