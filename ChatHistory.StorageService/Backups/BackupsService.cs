using ChatHistory.StorageService.Database;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Backups;

/// <summary>Protos/backups.proto. What was begun goes on when its caller leaves, and ends only with the service.</summary>
internal sealed class BackupsService(BackupFolder folder, BackupMaker maker, OnlineRestore restore, BackupScheduler scheduler) : V1.Backups.BackupsBase
{
    public override Task<V1.Backup> Create(V1.CreateBackupRequest request, ServerCallContext context) =>
        AnswerAsync(async () => (await maker.MakeAsync(BackupManifest.Requested, scheduler.Stopping)).ToContract());

    public override Task<V1.ListBackupsReply> List(V1.ListBackupsRequest request, ServerCallContext context)
    {
        var reply = new V1.ListBackupsReply { Backups = { folder.List().Select(backup => backup.ToContract()) } };
        if (maker.Age is { } age)
        {
            reply.AgeSeconds = age.TotalSeconds;
        }

        if (scheduler.NextAt is { } next)
        {
            reply.NextAt = Timestamp.FromDateTimeOffset(next);
        }

        if (maker.LastFailure is { } failure)
        {
            reply.LastFailure = failure;
        }

        return Task.FromResult(reply);
    }

    public override Task<V1.Backup> Verify(V1.VerifyBackupRequest request, ServerCallContext context) =>
        AnswerAsync(async () =>
        {
            var backup = folder.Find(request.Name);
            var found = await Task.Run(() => DatabaseExamination.Of(folder.FileOf(backup.Name), scheduler.Stopping), scheduler.Stopping);
            return found.DifferenceFrom(backup) is { } problem
                ? throw new BackupException(StatusCode.DataLoss, $"The backup {backup.Name} is damaged: {problem}.")
                : backup.ToContract();
        });

    public override Task<V1.RestoreBackupReply> Restore(V1.RestoreBackupRequest request, ServerCallContext context) =>
        AnswerAsync(async () =>
        {
            var restored = await restore.RestoreAsync(request.Name, scheduler.Stopping);
            return new V1.RestoreBackupReply
            {
                Restored = restored.Backup.ToContract(),
                Replaced = restored.Replaced?.ToContract(),
                KeysKeptRevoked = restored.KeysKeptRevoked,
            };
        });

    private static async Task<T> AnswerAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await Task.Run(work);
        }
        catch (BackupException exception)
        {
            throw new RpcException(new Status(exception.Status, exception.Message));
        }
        catch (OperationCanceledException)
        {
            throw StorageStatus.Unavailable("The storage service is stopping.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"The backup's file could not be used: {exception.Message}"));
        }
    }
}
