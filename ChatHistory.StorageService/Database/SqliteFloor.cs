namespace ChatHistory.StorageService.Database;

/// <summary>The oldest SQLite that is used.</summary>
internal static class SqliteFloor
{
    /// <summary>Older ones can corrupt a file when a checkpoint and a write meet: https://sqlite.org/wal.html#walresetbug</summary>
    private static readonly Version s_oldestSafe = new(3, 51, 3);

    /// <exception cref="DatabaseStartException">It is older.</exception>
    public static void Require(Version loaded)
    {
        if (loaded < s_oldestSafe)
        {
            throw new DatabaseStartException(
                $"SQLite {loaded} is loaded, but versions before {s_oldestSafe} can corrupt a database in WAL mode. Update the package SQLitePCLRaw.lib.e_sqlite3.");
        }
    }
}
