using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Backups;

/// <summary>Puts a restored file in the place of the database, so that a kill or a power cut at any moment leaves one or the other.</summary>
/// <remarks>
/// The danger is the log: SQLite would play an old <c>chat.db-wal</c> into a new <c>chat.db</c>, for nothing in it says whose it is. So, beside the database:
/// <code>
/// 1  chat.db.restoring                      the restored copy, being made
/// 2  chat.db.replaced, .replaced-wal, ...   second names of the old database and what belongs to it
/// 3  chat.db.restoring -> chat.db.restored  from here on the new one counts: one rename
/// 4  chat.db-wal, -shm, -journal deleted
/// 5  chat.db.restored -> chat.db
/// 6  chat.db.replaced becomes a backup      later, while the service runs
/// </code>
/// Who opens the database first calls <see cref="Settle"/>: with a <c>.restored</c> file it goes on from step 4, with a <c>.restoring</c> one it takes steps 1
/// and 2 back. Whoever calls anything here owns the database's lock, and nobody has the file open.
/// </remarks>
internal sealed class DatabaseSwap(string databasePath)
{
    private static readonly string[] s_logs = ["-wal", "-journal"];

    public string Restoring { get; } = databasePath + ".restoring";

    public string Replaced { get; } = databasePath + ".replaced";

    /// <summary>True between the decisive rename and its end: the database that lies there must not be written to any more.</summary>
    public bool IsDecided => File.Exists(Restored);

    private string Restored { get; } = databasePath + ".restored";

    private string Folder { get; } = Path.GetDirectoryName(databasePath)!;

    /// <summary>Ends what a process that was killed had begun.</summary>
    /// <returns>True when the database is another one now.</returns>
    public bool Settle()
    {
        if (File.Exists(Restored))
        {
            PutInPlace();
            return true;
        }

        if (File.Exists(Restoring))
        {
            Discard();
        }

        return false;
    }

    /// <summary>Takes the restored copy back; the database stays what it is.</summary>
    public void Discard()
    {
        // The copy goes last: while it is there, the replaced file is known to be the database itself under a second name.
        DeleteWithLogs(Replaced);
        DurableFile.FlushFolder(Folder);
        DeleteWithLogs(Restoring);
    }

    /// <summary>Steps 2 to 5. The copy is finished, flushed and without logs.</summary>
    public void Commit()
    {
        DurableFile.FlushFolder(Folder);
        foreach (var log in s_logs.Append("").Where(log => File.Exists(databasePath + log)))
        {
            DurableFile.LinkOrCopy(databasePath + log, Replaced + log);
        }

        DurableFile.FlushFolder(Folder);
        DurableFile.Move(Restoring, Restored);
        PutInPlace();
    }

    private void PutInPlace()
    {
        foreach (var log in s_logs.Append("-shm"))
        {
            File.Delete(databasePath + log);
        }

        DurableFile.FlushFolder(Folder);
        DurableFile.Move(Restored, databasePath);
    }

    private static void DeleteWithLogs(string path)
    {
        foreach (var log in s_logs.Append("-shm").Append(""))
        {
            File.Delete(path + log);
        }
    }
}
