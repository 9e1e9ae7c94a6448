using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Turns;
using ChatHistory.StorageService.Writing;
using Grpc.Core;

namespace ChatHistory.StorageService.Backups;

/// <summary>Restores a backup while the service runs.</summary>
/// <remarks>
/// (1) copy and verify the backup, while everything goes on; (2) refuse new calls as UNAVAILABLE, which gateways bridge; (3) close the checkpointer's connection, the
/// readers' and the writer's, so that no log is left; (4) keep revoked keys revoked; (5) swap the files; (6) go on, and mark as interrupted what was in progress when
/// the backup was made; (7) list the replaced database as a backup.
/// What fails before (5) leaves everything as it was.
/// </remarks>
internal sealed partial class OnlineRestore(
    BackupFolder folder,
    BackupMaker maker,
    BackupMetrics metrics,
    ReplacedDatabase replaced,
    RevokedKeys revoked,
    DatabaseFile file,
    DatabaseReadiness readiness,
    DatabaseWriter writer,
    WalCheckpointer checkpointer,
    TimeProvider time,
    ILogger<OnlineRestore> logger)
{
    private const string Because = "A backup is being restored.";

    /// <summary>Reads take milliseconds.</summary>
    private static readonly TimeSpan s_readersPatience = TimeSpan.FromSeconds(15);

    /// <exception cref="BackupException">Nothing was changed.</exception>
    public async Task<Restored> RestoreAsync(string name, CancellationToken cancellationToken)
    {
        using var turn = maker.TakeTurn();
        try
        {
            var backup = folder.Find(name);
            var swap = new DatabaseSwap(file.Path);
            await replaced.ListAsync(cancellationToken);
            // :: Step 1
            await RestoredCopy.PrepareAsync(folder.FileOf(backup.Name), backup, swap, cancellationToken);
            var kept = await SwapAsync(swap, cancellationToken);
            Log.IsRestored(logger, backup.Name, kept);
            metrics.Ended("restore", "ok");
            // :: Step 7
            return new Restored(backup, await replaced.ListAsync(CancellationToken.None), kept);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            metrics.Ended("restore", "failed");
            Log.Failed(logger, exception, name);
            throw;
        }
    }

    private async Task<int> SwapAsync(DatabaseSwap swap, CancellationToken cancellationToken)
    {
        var kept = 0;
        var swapped = false;
        // :: Step 2
        readiness.NotReady(Because);
        try
        {
            // :: Step 3
            using var checkpointerClosed = await checkpointer.CloseAsync(cancellationToken);
            await file.Readers.CloseAsync(Because, s_readersPatience, time);
            file.CloseIdleReaders();
            await writer.WhileClosedAsync(() =>
            {
                RequireNoLog();
                // :: Step 4
                revoked.NoteClosed();
                kept = revoked.Apply(swap.Restoring);
                // :: Step 5
                Commit(swap);
                swapped = true;
            });
        }
        catch (TimeoutException exception)
        {
            throw new BackupException(StatusCode.Unavailable, "A read did not come to its end, so the database could not be closed. Nothing was changed; try again.", exception);
        }
        finally
        {
            if (!swapped)
            {
                swap.Discard();
            }

            file.Readers.Open();
            // :: Step 6
            if (swapped)
            {
                await InterruptAsync();
            }

            readiness.Ready();
        }

        return kept;
    }

    private void Commit(DatabaseSwap swap)
    {
        try
        {
            swap.Commit();
        }
        catch (Exception exception) when (swap.IsDecided)
        {
            // The disk failed behind the decisive rename. The next start puts the restored file in place; until then a write would go to the old one and be lost.
            Log.HalfWay(logger, exception);
            Environment.FailFast("A restore could not be ended; the next start ends it.", exception);
        }
    }

    private void RequireNoLog()
    {
        checkpointer.EmptyLog();
        if (new FileInfo(file.WalPath) is { Exists: true, Length: > 0 })
        {
            throw new BackupException(
                StatusCode.FailedPrecondition,
                $"The database's log {file.WalPath} could not be emptied: another program has the database open, or it is damaged. Nothing was changed. Close that program and try again, or stop this service and restore with --restore.");
        }
    }

    private async Task InterruptAsync()
    {
        try
        {
            await AbandonedTurns.InterruptAsync(writer, isAbandoned: null, CancellationToken.None);
        }
        catch (RpcException exception)
        {
            // The reaper does it a minute later.
            Log.NotInterrupted(logger, exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The backup {Name} is restored. {Kept} API keys that it knew as valid stay revoked.")]
        public static partial void IsRestored(ILogger logger, string name, int kept);

        [LoggerMessage(LogLevel.Error, "The backup {Name} was not restored.")]
        public static partial void Failed(ILogger logger, Exception exception, string name);

        [LoggerMessage(LogLevel.Critical, "The restored database could not be put in place. The service ends; its next start puts it there.")]
        public static partial void HalfWay(ILogger logger, Exception exception);

        [LoggerMessage(LogLevel.Warning, "The turns that were in progress when the backup was made could not be marked as interrupted yet.")]
        public static partial void NotInterrupted(ILogger logger, Exception exception);
    }
}

/// <param name="Replaced">What the database was before; null when there was none.</param>
/// <param name="KeysKeptRevoked">Keys that were valid in the backup, and revoked since.</param>
internal sealed record Restored(BackupManifest Backup, BackupManifest? Replaced, int KeysKeptRevoked);
