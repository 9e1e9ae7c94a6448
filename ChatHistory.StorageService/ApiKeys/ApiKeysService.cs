using ChatHistory.StorageService.Backups;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using Google.Protobuf.WellKnownTypes;
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

    private static readonly Func<ChatHistoryDbContext, string, string, string, string, IAsyncEnumerable<UsageTotal>> s_usageOfMonth =
        EF.CompileAsyncQuery((ChatHistoryDbContext database, string subject, string from, string to, string exceptSource) =>
            database.Usage.Where(u => u.Subject == subject && u.Day.CompareTo(from) > 0 && u.Day.CompareTo(to) < 0 && u.Source != exceptSource));

    private static readonly Func<ChatHistoryDbContext, string, CancellationToken, Task<long>> s_storedBytes =
        EF.CompileAsyncQuery((ChatHistoryDbContext database, string userId, CancellationToken cancellationToken) =>
            database.Users.Where(u => u.UserId == userId).Select(u => u.StoredBytes).FirstOrDefault());

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

    public override async Task<V1.ApiKey> Update(V1.UpdateApiKeyRequest request, ServerCallContext context)
    {
        var command = new UpdateApiKeyCommand(request);
        await writer.RunAsync(command, context.CancellationToken);
        return command.Found
            ? await FindAsync(request.KeyId, context.CancellationToken)
            : throw StorageStatus.NotFound("API key");
    }

    public override async Task<V1.AnyKeyWasMadeReply> AnyWasMade(V1.AnyKeyWasMadeRequest request, ServerCallContext context)
    {
        await using var database = await contexts.CreateDbContextAsync(context.CancellationToken);
        return new V1.AnyKeyWasMadeReply { Any = await database.ApiKeys.AnyAsync(context.CancellationToken) };
    }

    public override async Task<Empty> ReportUsage(V1.ReportUsageRequest request, ServerCallContext context)
    {
        await writer.RunAsync(new ReportUsageCommand(request), context.CancellationToken);
        return new Empty();
    }

    public override async Task<V1.Usage> GetUsage(V1.GetUsageRequest request, ServerCallContext context)
    {
        await using var database = await contexts.CreateDbContextAsync(context.CancellationToken);
        // The month's first seven characters; days sort as text. A day has a row for each gateway process that counted on it.
        var month = request.Day.Length >= 7 ? request.Day[..7] : throw StorageStatus.Invalid("day", "must be a day, such as 2026-01-31");
        var rows = new List<UsageTotal>();
        await foreach (var row in s_usageOfMonth(database, request.Subject, month + "-00", month + "-99", request.ExceptSource))
        {
            rows.Add(row);
        }

        var today = rows.Where(row => row.Day == request.Day).ToList();
        return new V1.Usage
        {
            TokensOfDay = today.Sum(row => row.Tokens),
            TokensOfMonth = rows.Sum(row => row.Tokens),
            RequestsOfDay = today.Sum(row => row.Requests),
            StoredBytes = request.UserId is "" ? 0 : await s_storedBytes(database, request.UserId, context.CancellationToken),
        };
    }

    private async Task<V1.ApiKey> FindAsync(string keyId, CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        var key = await s_find(database, keyId, cancellationToken);
        return key?.ToContract() ?? throw StorageStatus.NotFound("API key");
    }
}
