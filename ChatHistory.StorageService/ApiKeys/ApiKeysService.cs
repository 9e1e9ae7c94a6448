using ChatHistory.StorageService.Backups;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using Grpc.Core;
using Microsoft.EntityFrameworkCore;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.ApiKeys;

internal sealed class ApiKeysService(DatabaseWriter writer, IDbContextFactory<ChatHistoryDbContext> contexts, RevokedKeys revoked) : V1.ApiKeys.ApiKeysBase
{
    private const int HashLength = 32;

    private static readonly Func<ChatHistoryDbContext, string, CancellationToken, Task<ApiKey?>> s_find =
        EF.CompileAsyncQuery((ChatHistoryDbContext database, string keyId, CancellationToken cancellationToken) =>
            database.ApiKeys.SingleOrDefault(k => k.KeyId == keyId));

    public override async Task<V1.ApiKey> Create(V1.CreateApiKeyRequest request, ServerCallContext context)
    {
        if (request.KeyId is "")
        {
            throw StorageStatus.Invalid("key_id", "must not be empty");
        }

        if (request.UserId is "")
        {
            throw StorageStatus.Invalid("user_id", "must not be empty");
        }

        if (request.Hash.Length != HashLength)
        {
            throw StorageStatus.Invalid("hash", $"must have {HashLength} bytes");
        }

        var command = new CreateApiKeyCommand(request);
        await writer.RunAsync(command, context.CancellationToken);
        return command.IsThere
            ? await FindAsync(request.KeyId, context.CancellationToken)
            : throw StorageStatus.AlreadyExists("The key id");
    }

    public override Task<V1.ApiKey> Find(V1.FindApiKeyRequest request, ServerCallContext context) =>
        FindAsync(request.KeyId, context.CancellationToken);

    public override async Task<V1.ListApiKeysReply> List(V1.ListApiKeysRequest request, ServerCallContext context)
    {
        await using var database = await contexts.CreateDbContextAsync(context.CancellationToken);
        IQueryable<ApiKey> keys = database.ApiKeys;
        if (request.UserId.Length > 0)
        {
            keys = keys.Where(k => k.UserId == request.UserId);
        }

        var rows = await keys.OrderBy(k => k.UserId).ThenBy(k => k.CreatedAt).ThenBy(k => k.KeyId).ToListAsync(context.CancellationToken);
        return new V1.ListApiKeysReply { Keys = { rows.Select(key => key.ToContract()) } };
    }

    public override async Task<V1.ApiKey> Revoke(V1.RevokeApiKeyRequest request, ServerCallContext context)
    {
        var command = new RevokeApiKeyCommand(request.KeyId);
        await writer.RunAsync(command, context.CancellationToken);
        revoked.Note();
        return command.Found
            ? await FindAsync(request.KeyId, context.CancellationToken)
            : throw StorageStatus.NotFound("API key");
    }

    private async Task<V1.ApiKey> FindAsync(string keyId, CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        var key = await s_find(database, keyId, cancellationToken);
        return key?.ToContract() ?? throw StorageStatus.NotFound("API key");
    }
}
