using SQLitePCL;

namespace ChatHistory.StorageService.Database;

/// <summary>Settings of the SQLite library as a whole, which can only be made before its first use in a process.</summary>
internal static class SqliteLibrary
{
    /// <summary>
    /// Takes away locks that this service does not need, an eighth of SQLite's time (decision 27): no connection is used by two threads at once, and nobody
    /// asks SQLite how much memory it has.
    /// </summary>
    /// <remarks>A library that refuses them, or is in use already, works as before.</remarks>
    public static void UseFewerLocks()
    {
        Batteries_V2.Init();
        _ = raw.sqlite3_config(raw.SQLITE_CONFIG_MULTITHREAD);
        _ = raw.sqlite3_config(raw.SQLITE_CONFIG_MEMSTATUS, 0);
    }
}
