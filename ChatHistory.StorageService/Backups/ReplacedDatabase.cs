using ChatHistory.StorageService.Database;
using Microsoft.Data.Sqlite;

namespace ChatHistory.StorageService.Backups;

/// <summary>Makes a backup of the database that a restore has replaced. Sound or not, it is kept: it may be all that there is of the last day.</summary>
internal sealed class ReplacedDatabase(BackupFolder folder, BackupMaker maker, DatabaseFile file, TimeProvider time)
{
    private readonly DatabaseSwap _swap = new(file.Path);

    /// <summary>Lists it if there is one. The caller has the turn, and the swap is settled.</summary>
    public async Task<BackupManifest?> ListAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists(_swap.Replaced))
        {
            return null;
        }

        folder.Create();
        TakeInLogs(_swap.Replaced);
        var examination = await Task.Run(() => DatabaseExamination.Of(_swap.Replaced, cancellationToken), cancellationToken);
        return maker.List(_swap.Replaced, folder.NewName(time.GetUtcNow()), BackupManifest.Replaced, examination);
    }

    /// <summary>Makes one file of a database and its logs.</summary>
    public static void TakeInLogs(string path)
    {
        try
        {
            using var connection = DatabaseFile.OpenAlone(path, SqliteOpenMode.ReadWrite);
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA journal_mode=delete";
            command.ExecuteNonQuery();
        }
        catch (SqliteException)
        {
            // Broken: it stays as it is, and the examination says so.
        }

        DurableFile.Flush(path);
    }
}
