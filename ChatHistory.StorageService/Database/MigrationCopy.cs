using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Database;

/// <summary>A copy of the database from before its schema was changed, <c>chat.db.before-20261122184932_Branches</c>: the way back to the version before.</summary>
/// <remarks>See docs/decisions/0017. A copy holds what users delete later, so it is removed after a month.</remarks>
internal sealed partial class MigrationCopy(DatabaseFile file, IOptions<DatabaseOptions> options, TimeProvider time, ILogger<MigrationCopy> logger)
{
    private const string Infix = ".before-";
    private const string Unfinished = ".unfinished";
    private const long Megabyte = 1024 * 1024;

    /// <summary>For the log of the migration itself, at least; a large one changes most pages once.</summary>
    private const long RoomForMigration = 32 * Megabyte;

    private static readonly TimeSpan s_kept = TimeSpan.FromDays(30);

    /// <summary>Copies the database as it is now. The copy has its name only when it is whole and on disk.</summary>
    /// <param name="migration">The first one that will be applied.</param>
    /// <exception cref="DatabaseStartException">There is no room for it.</exception>
    public void Make(string migration)
    {
        if (!options.Value.CopyBeforeMigration)
        {
            return;
        }

        var started = time.GetTimestamp();
        var copy = file.Path + Infix + migration;
        var unfinished = copy + Unfinished;
        File.Delete(unfinished);
        using (var connection = new SqliteConnection(file.MigrationConnectionString))
        {
            connection.Open();
            RequireRoom(Number(connection, "page_count") * Number(connection, "page_size"));
            using var vacuum = connection.CreateCommand();
            vacuum.CommandText = "VACUUM INTO $copy";
            vacuum.Parameters.AddWithValue("$copy", unfinished);
            vacuum.ExecuteNonQuery();
        }

        DurableFile.Flush(unfinished);
        DurableFile.Move(unfinished, copy);
        Log.Made(logger, copy, time.GetElapsedTime(started).TotalSeconds);
    }

    /// <summary>Removes the copies that are older than a month, and what a copy that was cut off left.</summary>
    public void RemoveOld()
    {
        var name = Path.GetFileName(file.Path);
        foreach (var copy in new DirectoryInfo(Path.GetDirectoryName(file.Path)!).EnumerateFiles(name + Infix + "*"))
        {
            if (copy.Name.EndsWith(Unfinished, StringComparison.Ordinal) || time.GetUtcNow() - copy.LastWriteTimeUtc > s_kept)
            {
                Remove(copy);
            }
        }
    }

    private void Remove(FileInfo copy)
    {
        try
        {
            copy.Delete();
            Log.Removed(logger, copy.FullName);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // No reason not to serve.
            Log.CannotBeRemoved(logger, exception, copy.FullName);
        }
    }

    internal void RequireRoom(long size)
    {
        var folder = Path.GetDirectoryName(file.Path)!;
        var free = new DriveInfo(folder).AvailableFreeSpace;
        // The copy, and the log, which can grow as large as the database.
        var needed = (2 * size) + RoomForMigration;
        if (free < needed)
        {
            throw new DatabaseStartException(
                $"The schema of {file.Path} must be brought up to date. Before that it is copied, and with the changes themselves this takes up to "
                + $"{needed / Megabyte} MB in {folder}; {free / Megabyte} MB are free. Free the space; or, with a backup of your own, set Database:CopyBeforeMigration=false.");
        }
    }

    private static long Number(SqliteConnection connection, string pragma)
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"PRAGMA {pragma}";
        return (long)command.ExecuteScalar()!;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Copied the database to {Copy} in {Seconds:0.0} s, before its schema is changed. The copy is removed after 30 days.")]
        public static partial void Made(ILogger logger, string copy, double seconds);

        [LoggerMessage(LogLevel.Information, "Removed the old copy {Copy}.")]
        public static partial void Removed(ILogger logger, string copy);

        [LoggerMessage(LogLevel.Warning, "The old copy {Copy} could not be removed.")]
        public static partial void CannotBeRemoved(ILogger logger, Exception exception, string copy);
    }
}
