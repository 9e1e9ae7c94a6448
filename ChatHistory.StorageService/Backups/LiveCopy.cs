using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ChatHistory.StorageService.Backups;

/// <summary>Copies the database into a file while it is written to.</summary>
/// <remarks>
/// SQLite's backup API on the writer's own connection, a megabyte at a time between two transactions: pages that a later transaction changes are then
/// changed in the copy too (https://sqlite.org/c3ref/backup_finish.html), so the copy is of the moment at which it ends, and no snapshot is held: the
/// log goes on being emptied however large the file is. A turn waits for a millisecond at most. Rejected: the same on a connection of its own begins
/// anew with every commit; VACUUM INTO, or one step for everything, hold a snapshot to the end, and the log grows by all that is written meanwhile.
/// What was deleted is not in the copy: secure_delete has overwritten it in the pages that are copied.
/// </remarks>
internal sealed class LiveCopy(DatabaseWriter writer, WalCheckpointer checkpointer)
{
    /// <summary>A megabyte of pages of 4 KiB; two of an older file's.</summary>
    private const int PagesPerStep = 256;

    /// <summary>So that the disk's queue does not fill with the copy before a turn's fsync.</summary>
    private const int StepsPerFlush = 32;

    private const int StepsPerCheckpoint = 8;

    /// <summary>Only another program's writes make SQLite begin anew. One that never stops must not keep us busy for ever.</summary>
    private const int MaxRestarts = 20;

    public async Task WriteAsync(string path, CancellationToken cancellationToken)
    {
        using var held = checkpointer.WhileCopying();
        using (var target = Open(path, "PRAGMA journal_mode=off; PRAGMA synchronous=off"))
        {
            var copy = new Copy(target);
            try
            {
                for (var step = 1; !copy.IsDone; step++)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    await writer.BetweenTransactionsAsync(copy.Step);
                    if (step % StepsPerFlush == 0)
                    {
                        DurableFile.Flush(path);
                    }

                    if (step % StepsPerCheckpoint == 0)
                    {
                        await writer.BetweenTransactionsAsync(ShortenLog);
                    }
                }
            }
            finally
            {
                await EndAsync(copy);
            }
        }

        // The copied header says WAL. A backup is one file, which any program can read without putting others beside it.
        Open(path, "PRAGMA journal_mode=delete").Dispose();
    }

    /// <summary>
    /// The checkpointer never catches up with a writer that is always busy, and must not stop it now (see <see cref="WalCheckpointer.WhileCopying"/>). Done
    /// by the writer itself it is only the rest, and then the log begins again from its start.
    /// </summary>
    private static void ShortenLog(PreparedConnection connection)
    {
        using var checkpoint = connection.Query("PRAGMA wal_checkpoint(PASSIVE)");
        checkpoint.Read();
    }

    private async Task EndAsync(Copy copy)
    {
        try
        {
            await writer.BetweenTransactionsAsync(_ => copy.Dispose());
        }
        catch (Exception)
        {
            // The writer has ended, or cannot open its connection: then nobody else uses it.
            copy.Dispose();
        }
    }

    private static SqliteConnection Open(string path, string settings)
    {
        var connection = DatabaseFile.OpenAlone(path, SqliteOpenMode.ReadWriteCreate);
        using var command = connection.CreateCommand();
        command.CommandText = settings;
        command.ExecuteNonQuery();
        return connection;
    }

    /// <summary>The backup under way; used on the writer's thread only.</summary>
    private sealed class Copy(SqliteConnection target) : IDisposable
    {
        private sqlite3? _source;
        private sqlite3_backup? _backup;
        private int _copied;
        private int _restarts;

        public bool IsDone { get; private set; }

        public void Step(PreparedConnection connection)
        {
            if (_backup is null)
            {
                _source = connection.Handle;
                _backup = raw.sqlite3_backup_init(target.Handle!, "main", _source, "main");
                if (_backup is null or { IsInvalid: true })
                {
                    throw Failure(raw.sqlite3_errcode(target.Handle!));
                }
            }
            else if (_source != connection.Handle)
            {
                throw new BackupException(Grpc.Core.StatusCode.Unavailable, "The database had to be opened anew while it was copied. Try again.");
            }

            var result = raw.sqlite3_backup_step(_backup, PagesPerStep);
            if (result is not raw.SQLITE_OK and not raw.SQLITE_DONE and not raw.SQLITE_BUSY and not raw.SQLITE_LOCKED)
            {
                throw Failure(result);
            }

            IsDone = result == raw.SQLITE_DONE;
            var copied = raw.sqlite3_backup_pagecount(_backup) - raw.sqlite3_backup_remaining(_backup);
            if (copied < _copied && ++_restarts > MaxRestarts)
            {
                throw new BackupException(Grpc.Core.StatusCode.FailedPrecondition, "Another program writes to the database all the time, so it cannot be copied. Stop that one, then try again.");
            }

            _copied = copied;
        }

        public void Dispose()
        {
            if (_backup is { IsInvalid: false })
            {
                raw.sqlite3_backup_finish(_backup);
            }
        }

        private static SqliteException Failure(int code) => new($"The copy failed: {raw.sqlite3_errstr(code).utf8_to_string()}.", code & 0xFF, code);
    }
}
