using ChatHistory.StorageService.Backups;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.ApiKeys;

internal sealed class ApiKeysService(DatabaseWriter writer, DatabaseFile file, RevokedKeys revoked) : V1.ApiKeys.ApiKeysBase
{
    private const int HashLength = 32;

    private const string SelectAny = "SELECT EXISTS (SELECT 1 FROM api_keys)";

    internal const string SelectUsageOfMonth = "SELECT day, tokens, requests FROM usage WHERE subject = ?1 AND day > ?2 || '-00' AND day < ?2 || '-99' AND source <> ?3";

    internal const string SelectStoredBytes = "SELECT stored_bytes FROM users WHERE user_id = ?1";

    public override async Task<V1.ApiKey> Create(V1.CreateApiKeyRequest request, ServerCallContext context)
    {
        if (request.KeyId is "")
        {
            throw StorageStatus.Invalid("key_id", "must not be empty");
        }

        if (request.Role is not ("" or ApiKey.DefaultRole or ApiKey.AdminRole or "trusted_proxy"))
        {
            throw StorageStatus.Invalid("role", "must be user, admin or trusted_proxy");
        }

        if (request.UserId is "" != request.Role is ApiKey.AdminRole)
        {
            throw StorageStatus.Invalid("user_id", "must name the key's owner, and none for an admin key");
        }

        if (request.Hash.Length != HashLength)
        {
            throw StorageStatus.Invalid("hash", $"must have {HashLength} bytes");
        }

        var command = new CreateApiKeyCommand(request);
        await writer.RunAsync(command, context.CancellationToken);
        return command.IsThere
            ? Find(request.KeyId)
            : throw StorageStatus.AlreadyExists("The key id");
    }

    public override Task<V1.ApiKey> Find(V1.FindApiKeyRequest request, ServerCallContext context) =>
        Task.FromResult(Find(request.KeyId));

    public override Task<V1.ListApiKeysReply> List(V1.ListApiKeysRequest request, ServerCallContext context)
    {
        var keys = file.Read(reader => ApiKey.List(reader, request.UserId is "" ? null : request.UserId));
        return Task.FromResult(new V1.ListApiKeysReply { Keys = { keys.Select(key => key.ToContract()) } });
    }

    public override async Task<V1.ApiKey> Revoke(V1.RevokeApiKeyRequest request, ServerCallContext context)
    {
        var command = new RevokeApiKeyCommand(request.KeyId);
        await writer.RunAsync(command, context.CancellationToken);
        revoked.Note();
        return command.Found
            ? Find(request.KeyId)
            : throw StorageStatus.NotFound("API key");
    }

    public override async Task<V1.ApiKey> Update(V1.UpdateApiKeyRequest request, ServerCallContext context)
    {
        var command = new UpdateApiKeyCommand(request);
        await writer.RunAsync(command, context.CancellationToken);
        return command.Found
            ? Find(request.KeyId)
            : throw StorageStatus.NotFound("API key");
    }

    public override Task<V1.AnyKeyWasMadeReply> AnyWasMade(V1.AnyKeyWasMadeRequest request, ServerCallContext context) =>
        Task.FromResult(new V1.AnyKeyWasMadeReply { Any = file.Read(reader => reader.Number(SelectAny)) == 1 });

    public override async Task<Empty> ReportUsage(V1.ReportUsageRequest request, ServerCallContext context)
    {
        await writer.RunAsync(new ReportUsageCommand(request), context.CancellationToken);
        return new Empty();
    }

    public override Task<V1.Usage> GetUsage(V1.GetUsageRequest request, ServerCallContext context)
    {
        // The month's first seven characters; days sort as text. A day has a row for each gateway process that counted on it.
        var month = request.Day.Length >= 7 ? request.Day[..7] : throw StorageStatus.Invalid("day", "must be a day, such as 2026-01-31");
        return Task.FromResult(file.ReadInSnapshot(reader =>
        {
            var usage = new V1.Usage { StoredBytes = request.UserId is "" ? 0 : reader.Number(SelectStoredBytes, request.UserId) ?? 0 };
            using var rows = reader.Query(SelectUsageOfMonth, request.Subject, month, request.ExceptSource);
            while (rows.Read())
            {
                var (day, tokens, requests) = (rows.GetString(0), rows.GetInt64(1), rows.GetInt64(2));
                usage.TokensOfMonth += tokens;
                usage.TokensOfDay += day == request.Day ? tokens : 0;
                usage.RequestsOfDay += day == request.Day ? requests : 0;
            }

            return usage;
        }));
    }

    private V1.ApiKey Find(string keyId) =>
        file.Read(reader => ApiKey.Find(reader, keyId))?.ToContract() ?? throw StorageStatus.NotFound("API key");
}
