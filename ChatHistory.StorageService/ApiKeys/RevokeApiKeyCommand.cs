using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;

namespace ChatHistory.StorageService.ApiKeys;

/// <summary>Revokes a key. The first time stays when it is sent again.</summary>
internal sealed class RevokeApiKeyCommand(string keyId) : WriteCommand
{
    private const string Revoke = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2) WHERE key_id = ?1";

    public bool Found { get; private set; }

    public override bool MayUseBallast => true;

    public override void Execute(PreparedConnection database, string now) => Found = database.Execute(Revoke, keyId, now) > 0;
}
