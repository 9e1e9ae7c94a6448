using System.Security.Cryptography;
using ChatHistory.StorageService.Database;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ChatHistory.StorageService.Backups;

/// <summary>What a reading of a whole database file finds: whether SQLite takes it for sound, and what is in it.</summary>
/// <param name="Problem">Why it cannot be used; null for a sound file.</param>
internal sealed record DatabaseExamination(string? Problem, string Migration, SortedDictionary<string, long> Rows, long Size, string Sha256)
{
    /// <param name="path">A file that nothing writes, without a log beside it.</param>
    public static DatabaseExamination Of(string path, CancellationToken cancellationToken)
    {
        var size = new FileInfo(path).Length;
        var sha256 = Hash(path, cancellationToken);
        try
        {
            using var connection = DatabaseFile.OpenAlone(path, SqliteOpenMode.ReadOnly);
            // It is minutes' work for a large file, and SQLite knows no token.
            using var interrupt = cancellationToken.Register(() => raw.sqlite3_interrupt(connection.Handle!));
            var problem = Problems(connection, "PRAGMA integrity_check(1)", sound: "ok") ?? Problems(connection, "PRAGMA foreign_key_check", sound: null);
            cancellationToken.ThrowIfCancellationRequested();
            if (problem is not null)
            {
                return new DatabaseExamination(problem, "", [], size, sha256);
            }

            var applied = DatabaseMigrator.Applied(connection);
            return new DatabaseExamination(
                applied.Count == 0 ? "it is no database of this service" : null, applied.LastOrDefault() ?? "", CountRows(connection), size, sha256);
        }
        catch (SqliteException exception)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return new DatabaseExamination($"SQLite error {exception.SqliteErrorCode}", "", [], size, sha256);
        }
        catch (DatabaseStartException)
        {
            return new DatabaseExamination("it is another program's database", "", [], size, sha256);
        }
    }

    /// <summary>How it differs from what it was when the manifest was written; null when it does not.</summary>
    public string? DifferenceFrom(BackupManifest manifest) => this switch
    {
        { Problem: { } problem } => problem,
        _ when Size != manifest.Size => $"it has {Size} bytes instead of {manifest.Size}",
        _ when Sha256 != manifest.Sha256 => "its SHA-256 is another one than when it was made",
        _ when !Rows.SequenceEqual(manifest.Rows) => "its tables have other rows than when it was made",
        _ => null,
    };

    private static string? Problems(SqliteConnection connection, string check, string? sound)
    {
        using var command = connection.CreateCommand();
        command.CommandText = check;
        return command.ExecuteScalar() is string found && found != sound
            ? check.Contains("foreign_key", StringComparison.Ordinal) ? $"a row of {found} points to nothing" : found
            : null;
    }

    private static SortedDictionary<string, long> CountRows(SqliteConnection connection)
    {
        var rows = new SortedDictionary<string, long>(StringComparer.Ordinal);
        using var tables = connection.CreateCommand();
        tables.CommandText = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_\\_EF%' ESCAPE '\\'";
        using (var reader = tables.ExecuteReader())
        {
            while (reader.Read())
            {
                rows.Add(reader.GetString(0), 0);
            }
        }

        foreach (var table in rows.Keys.ToList())
        {
            using var count = connection.CreateCommand();
            count.CommandText = $"SELECT count(*) FROM \"{table.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
            rows[table] = (long)count.ExecuteScalar()!;
        }

        return rows;
    }

    private static string Hash(string path, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        var buffer = new byte[1024 * 1024];
        int read;
        while ((read = file.Read(buffer)) > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            hash.AppendData(buffer, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
