using ChatHistory.StorageService.Database;
using Grpc.Core;
using Microsoft.Data.Sqlite;

namespace ChatHistory.StorageService.Backups;

/// <summary>Makes of a backup the file that can take the database's place: copied, verified as a copy, and migrated.</summary>
internal static class RestoredCopy
{
    /// <summary>Makes <see cref="DatabaseSwap.Restoring"/>. When it fails nothing is left of it.</summary>
    /// <param name="source">The backup's file.</param>
    /// <param name="manifest">Null for a file that has none.</param>
    /// <exception cref="BackupException">Damaged, of a newer version, or no room.</exception>
    public static async Task PrepareAsync(string source, BackupManifest? manifest, DatabaseSwap swap, CancellationToken cancellationToken)
    {
        if (File.Exists(source + "-wal"))
        {
            throw new BackupException(
                StatusCode.FailedPrecondition,
                $"{source} has a write-ahead log beside it, so it is not a backup but a database that is in use, or was not closed. Open and close it with the program that it belongs to first.");
        }

        BackupException.ThrowIfNoRoom(Path.GetDirectoryName(swap.Restoring)!, new FileInfo(source).Length);
        try
        {
            await Task.Run(() => File.Copy(source, swap.Restoring, overwrite: true), cancellationToken);
            var examination = await Task.Run(() => DatabaseExamination.Of(swap.Restoring, cancellationToken), cancellationToken);
            if ((manifest is null ? examination.Problem : examination.DifferenceFrom(manifest)) is { } problem)
            {
                throw BackupException.Damaged(Path.GetFileName(source), problem);
            }

            await MigrateAsync(source, swap.Restoring, cancellationToken);
            ReplacedDatabase.TakeInLogs(swap.Restoring);
        }
        catch
        {
            swap.Discard();
            throw;
        }
    }

    private static async Task MigrateAsync(string source, string path, CancellationToken cancellationToken)
    {
        string connectionString;
        using (var connection = DatabaseFile.OpenAlone(path, SqliteOpenMode.ReadWriteCreate))
        {
            connectionString = connection.ConnectionString;
            if (DatabaseMigrator.Newer(DatabaseMigrator.Applied(connection)) is { } newer)
            {
                throw new BackupException(
                    StatusCode.FailedPrecondition,
                    $"The backup {Path.GetFileName(source)} was made by a newer version of this service (it has the migration '{newer}'). Nothing was changed: start that version, or take an older backup.");
            }
        }

        await DatabaseMigrator.ApplyAsync(connectionString, cancellationToken);
    }
}
