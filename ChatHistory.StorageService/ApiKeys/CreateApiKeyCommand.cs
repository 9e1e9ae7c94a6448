using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Sessions;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.ApiKeys;

internal sealed class CreateApiKeyCommand(V1.CreateApiKeyRequest request) : WriteCommand
{
    private const string SelectHash = "SELECT hash FROM api_keys WHERE key_id = ?1";

    private const string Insert =
        """
        INSERT INTO api_keys (key_id, user_id, name, hash, created_at, expires_at, role,
            requests_per_minute, tokens_per_minute, concurrent_turns, tokens_per_day, tokens_per_month, stored_bytes)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
        """;

    /// <summary>False when the id is taken by another key. True also when this key was there: it was sent again.</summary>
    public bool IsThere { get; private set; }

    public override void Execute(PreparedConnection database, string now)
    {
        using (var reader = database.Query(SelectHash, request.KeyId))
        {
            if (reader.Read())
            {
                IsThere = reader.GetBlob(0).AsSpan().SequenceEqual(request.Hash.Span);
                return;
            }
        }

        var userId = request.UserId is "" ? null : request.UserId;
        if (userId is not null)
        {
            SessionRows.UpsertUserInto(database, userId, now);
        }

        database.Execute(
            Insert,
            [
                request.KeyId, userId, request.Name, request.Hash.ToByteArray(), now,
                request.ExpiresAt is null ? null : UtcText.Of(request.ExpiresAt.ToDateTimeOffset()), request.Role is "" ? ApiKey.DefaultRole : request.Role,
                .. UpdateApiKeyCommand.ValuesOf(request.Limits),
            ]);
        IsThere = true;
    }
}
