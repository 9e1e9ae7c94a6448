using System.Text;
using ChatHistory.StorageService.Database;
using Grpc.Core;
using Microsoft.Data.Sqlite;

namespace ChatHistory.StorageService.Backups;

/// <summary>
/// The API keys that were ever revoked, in a file beside the backups. A backup was made when a key was still valid; restoring it must not make that
/// key work again, also when the database that knew better cannot be read any more.
/// </summary>
/// <remarks>
/// <code>
/// 4f2a81c0 2026-11-22 21:53:01.123     the key's public id, and when it was revoked
/// </code>
/// The database is the truth, and is written first; the file follows it, and catches up at each start.
/// </remarks>
internal sealed partial class RevokedKeys(BackupFolder folder, DatabaseFile file, ILogger<RevokedKeys> logger)
{
    private const string Select = "SELECT key_id, revoked_at FROM api_keys WHERE revoked_at IS NOT NULL";

    private readonly Lock _lock = new();
    private readonly string _path = folder.FileOf("revoked-keys.txt");

    /// <summary>Writes down what the open database says.</summary>
    public void Note()
    {
        try
        {
            Add(file.Read(Read));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or SqliteException or RpcException)
        {
            // The revocation itself is committed; the next start writes it down. (RpcException: a restore has shut out whoever reads.)
            Log.NotNoted(logger, exception, _path);
        }
    }

    /// <summary>The same for a database that is not open.</summary>
    /// <returns>False when it could not be read.</returns>
    public bool NoteClosed()
    {
        try
        {
            // Not read-only: a log that a kill left beside it has to be taken in.
            using var connection = DatabaseFile.OpenAlone(file.Path, SqliteOpenMode.ReadWrite);
            using var prepared = new PreparedConnection(connection, ownsConnection: false);
            Add(Read(prepared));
            return true;
        }
        catch (SqliteException)
        {
            return false;
        }
    }

    /// <summary>Revokes in a restored copy what was revoked since.</summary>
    /// <returns>How many keys would have worked again.</returns>
    public int Apply(string path)
    {
        Dictionary<string, string> revoked;
        lock (_lock)
        {
            revoked = ReadFile();
        }

        using var connection = DatabaseFile.OpenAlone(path, SqliteOpenMode.ReadWriteCreate);
        using var transaction = connection.BeginTransaction();
        using var update = connection.CreateCommand();
        update.CommandText = "UPDATE api_keys SET revoked_at = $at WHERE key_id = $id AND revoked_at IS NULL";
        var id = update.Parameters.Add("$id", SqliteType.Text);
        var at = update.Parameters.Add("$at", SqliteType.Text);
        var count = 0;
        foreach (var key in revoked)
        {
            (id.Value, at.Value) = (key.Key, key.Value);
            count += update.ExecuteNonQuery();
        }

        transaction.Commit();
        return count;
    }

    private void Add(Dictionary<string, string> found)
    {
        lock (_lock)
        {
            var known = ReadFile();
            var before = known.Count;
            foreach (var (id, at) in found)
            {
                known.TryAdd(id, at);
            }

            if (known.Count > before)
            {
                folder.Create();
                DurableFile.Write(_path, Encoding.UTF8.GetBytes(string.Concat(known.Select(key => $"{key.Key} {key.Value}\n"))));
            }
        }
    }

    private Dictionary<string, string> ReadFile() =>
        File.Exists(_path)
            ? File.ReadAllLines(_path).Select(line => line.Split(' ', 2)).Where(parts => parts.Length == 2).ToDictionary(parts => parts[0], parts => parts[1])
            : [];

    private static Dictionary<string, string> Read(PreparedConnection database)
    {
        using var reader = database.Query(Select);
        var keys = new Dictionary<string, string>();
        while (reader.Read())
        {
            keys.Add(reader.GetString(0), reader.GetString(1));
        }

        return keys;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "Revoked keys could not be written to {Path}. They are revoked, but restoring an older backup now would make them valid again.")]
        public static partial void NotNoted(ILogger logger, Exception exception, string path);
    }
}
