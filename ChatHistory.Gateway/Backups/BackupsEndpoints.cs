using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Backups;

/// <summary>Backups of the history: made, listed, verified and restored. They hold everybody's conversations, so only operators get here.</summary>
/// <remarks>
/// Except for the list there is no deadline: the whole file is read, and how long that takes depends on it. What was begun goes on in the storage service
/// when its client leaves.
/// </remarks>
internal static class BackupsEndpoints
{
    public static IEndpointRouteBuilder MapBackups(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapOperatorGroup("/admin/backups").WithTags("Backups");
        group.MapPost("", CreateAsync).WithName("CreateBackup").WithSummary("Make a backup now. It is verified before this answers.")
            .Produces<BackupResource>(StatusCodes.Status201Created);
        group.MapGet("", ListAsync).WithName("ListBackups").WithSummary("List backups, newest first.")
            .Produces<BackupList>();
        group.MapPost("{backup_name}/verify", VerifyAsync).WithName("VerifyBackup").WithSummary("Read a backup again and compare it with what it was. latest is the newest good one; what a restore replaced goes by its name only.")
            .Produces<BackupResource>();
        group.MapPost("{backup_name}/restore", RestoreAsync).WithName("RestoreBackup")
            .WithSummary("Put a backup in the place of the history. latest is the newest good one; what a restore replaced goes by its name only. What it replaces is kept as a backup.")
            .Produces<RestoredBackup>();
        return routes;
    }

    private static async Task<IResult> CreateAsync(BackupsClient backups, CancellationToken cancellationToken)
    {
        var backup = await backups.CreateAsync(new CreateBackupRequest(), cancellationToken: cancellationToken);
        return Results.Json(BackupResource.From(backup), BackupsJsonContext.Wire.BackupResource, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<IResult> ListAsync(BackupsClient backups, TimeProvider time, CancellationToken cancellationToken)
    {
        var reply = await backups.ListAsync(new ListBackupsRequest(), deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(BackupList.From(reply), BackupsJsonContext.Wire.BackupList);
    }

    private static async Task<IResult> VerifyAsync(string backup_name, BackupsClient backups, CancellationToken cancellationToken)
    {
        var backup = await backups.VerifyAsync(new VerifyBackupRequest { Name = backup_name }, cancellationToken: cancellationToken);
        return Results.Json(BackupResource.From(backup), BackupsJsonContext.Wire.BackupResource);
    }

    private static async Task<IResult> RestoreAsync(string backup_name, BackupsClient backups, CancellationToken cancellationToken)
    {
        var reply = await backups.RestoreAsync(new RestoreBackupRequest { Name = backup_name }, cancellationToken: cancellationToken);
        return Results.Json(RestoredBackup.From(reply), BackupsJsonContext.Wire.RestoredBackup);
    }
}
