using SQLitePCL;

namespace ChatHistory.Bench.Storage;

/// <summary>An SQLite file without anything around it, with the service's settings: WAL, synchronous=FULL, pages of 4 KB.</summary>
internal sealed class RawDatabase : IDisposable
{
    private readonly sqlite3 _database;

    public RawDatabase(string path)
    {
        SQLitePCL.Batteries_V2.Init();
        Check(raw.sqlite3_open(path, out _database));
        foreach (var pragma in (string[])["busy_timeout=5000", "page_size=4096", "journal_mode=wal", "synchronous=2", "wal_autocheckpoint=0", "journal_size_limit=67108864", "cache_size=-16384", "temp_store=2", "secure_delete=1", "foreign_keys=1"])
        {
            Run("PRAGMA " + pragma);
        }
    }

    public sqlite3_stmt Prepare(string sql)
    {
        Check(raw.sqlite3_prepare_v2(_database, sql, out var statement));
        return statement;
    }

    public void Run(string sql) => Check(raw.sqlite3_exec(_database, sql));

    /// <summary>The first column of a query.</summary>
    public List<string> Texts(string sql)
    {
        var texts = new List<string>();
        using var query = Prepare(sql);
        while (raw.sqlite3_step(query) == raw.SQLITE_ROW)
        {
            texts.Add(raw.sqlite3_column_text(query, 0).utf8_to_string());
        }

        return texts;
    }

    /// <summary>As the service runs turns, which count by themselves (decision 27).</summary>
    public void DisableTriggers() => Check(raw.sqlite3_db_config(_database, raw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, out _));

    /// <summary>Runs a statement that returns no rows, with the parameters that it has been given.</summary>
    public void Step(sqlite3_stmt statement)
    {
        var result = raw.sqlite3_step(statement);
        raw.sqlite3_reset(statement);
        if (result is not (raw.SQLITE_DONE or raw.SQLITE_ROW))
        {
            Check(result);
        }
    }

    public void Dispose() => raw.sqlite3_close_v2(_database);

    private void Check(int result)
    {
        if (result != raw.SQLITE_OK)
        {
            throw new InvalidOperationException($"SQLite: {result} {raw.sqlite3_errmsg(_database).utf8_to_string()}");
        }
    }
}
