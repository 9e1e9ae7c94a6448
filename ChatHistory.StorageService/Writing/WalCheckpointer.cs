using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Space;
using Microsoft.Data.Sqlite;

namespace ChatHistory.StorageService.Writing;

/// <summary>
/// Copies the write-ahead log into the database on a connection of its own, so that the writer never stops for it:
/// after every few megabytes, and when writing pauses.
/// </summary>
internal sealed partial class WalCheckpointer(DatabaseFile file, Ballast ballast, StorageMetrics metrics, TimeProvider time, ILogger<WalCheckpointer> logger) : BackgroundService
{
    private const int CommandsPerCheckpoint = 500;
    private const long BytesPerCheckpoint = 4L * 1024 * 1024;

    /// <summary>
    /// Above this, a checkpoint waits for readers and stops the writer for a moment, so that the log starts again from its beginning. What is written until then comes on top.
    /// The file keeps its length: to write over what is there takes half of the time of an fsync that makes a file longer.
    /// </summary>
    private const long MaxLogBytes = 16L * 1024 * 1024;

    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    /// <summary>How long to let a reader be that stopped us from starting the log over: trying holds the writer up for a quarter of a second, and at full speed a second of writing is a hundred megabytes of log.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3);

    private readonly SemaphoreSlim _due = new(0, 1);
    private readonly SemaphoreSlim _connecting = new(1, 1);
    private SqliteConnection? _connection;
    private long _lastBusy;
    private int _copies;
    private long _commands;
    private long _bytes;
    private bool _deleted;

    /// <summary>Called by the writer after each COMMIT.</summary>
    public void Committed(int commands, long bytes)
    {
        var allCommands = Interlocked.Add(ref _commands, commands);
        var allBytes = Interlocked.Add(ref _bytes, bytes);
        if (allCommands >= CommandsPerCheckpoint || allBytes >= BytesPerCheckpoint)
        {
            WakeUp();
        }
    }

    /// <summary>Something was deleted on a user's wish: the next checkpoint also empties the log, which still holds the old pages.</summary>
    public void Deleted()
    {
        Volatile.Write(ref _deleted, true);
        WakeUp();
    }

    /// <summary>Everything into the database, the log empty. Waits a quarter of a second for whoever reads.</summary>
    public void EmptyLog()
    {
        try
        {
            using var connection = file.OpenCheckpointer();
            Checkpoint(connection, "TRUNCATE");
        }
        catch (Exception exception) when (exception is SqliteException or DatabaseStartException)
        {
            // Nothing is lost: the log stays beside the database and is read at the next start.
            Log.Failed(logger, exception);
        }
    }

    /// <summary>Called by the writer between two transactions when the disk is full: empties the log now, unless somebody reads it or a copy is made.</summary>
    public void MakeRoom()
    {
        if (Volatile.Read(ref _copies) == 0)
        {
            EmptyLog();
        }
    }

    /// <summary>
    /// While a copy is made of the database, nothing empties the log: that would change the log behind the writer's back, and the copy, which is made on
    /// the writer's connection, would begin anew. The copy keeps the log short itself; what is due is done when the copy is.
    /// </summary>
    public IDisposable WhileCopying()
    {
        Interlocked.Increment(ref _copies);
        return new Release(() =>
        {
            Interlocked.Decrement(ref _copies);
            WakeUp();
        });
    }

    /// <summary>Closes the connection, and opens none until the result is disposed.</summary>
    public async Task<IDisposable> CloseAsync(CancellationToken cancellationToken)
    {
        await _connecting.WaitAsync(cancellationToken);
        Close();
        return new Release(() => _connecting.Release());
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        metrics.ObserveLog(LogBytes);
        try
        {
            while (true)
            {
                // Until enough was written, or a second has passed.
                await _due.WaitAsync(s_pause, stoppingToken);
                await _connecting.WaitAsync(stoppingToken);
                try
                {
                    CheckpointWhatIsDue();
                }
                finally
                {
                    _connecting.Release();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The service ends.
        }
        finally
        {
            Close();
        }
    }

    private void CheckpointWhatIsDue()
    {
        if (Interlocked.Exchange(ref _commands, 0) == 0 && !(Volatile.Read(ref _deleted) && _copies == 0))
        {
            return;
        }

        Interlocked.Exchange(ref _bytes, 0);
        try
        {
            _connection ??= file.OpenCheckpointer();
            var (_, inLog) = Checkpoint(_connection, "PASSIVE");
            if (_copies == 0 && (Volatile.Read(ref _deleted) || inLog > MaxLogBytes) && time.GetElapsedTime(_lastBusy) > s_patience)
            {
                StartOver(_connection);
            }
        }
        catch (Exception exception) when (exception is SqliteException or DatabaseStartException)
        {
            Log.Failed(logger, exception);
            Close();
            // Nothing may be written any more that would bring us back here.
            Interlocked.Increment(ref _commands);
            if (ballast.SaysDiskIsFull(exception))
            {
                ballast.Release();
            }
        }
    }

    private void StartOver(SqliteConnection connection)
    {
        // Taken before, so that what is deleted meanwhile is left for the next time.
        var deleted = Interlocked.Exchange(ref _deleted, false);
        var isDone = false;
        try
        {
            (isDone, _) = Checkpoint(connection, deleted ? "TRUNCATE" : "RESTART");
        }
        finally
        {
            _lastBusy = isDone ? 0 : time.GetTimestamp();
            if (deleted && !isDone)
            {
                Volatile.Write(ref _deleted, true);
            }
        }
    }

    private void Close()
    {
        _connection?.Dispose();
        _connection = null;
    }

    private void WakeUp()
    {
        if (_due.CurrentCount == 0)
        {
            try
            {
                _due.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody else was quicker.
            }
        }
    }

    /// <returns>Whether it could do all that the mode says, and how much the log holds; the file may be longer.</returns>
    private (bool IsDone, long BytesInLog) Checkpoint(SqliteConnection connection, string mode)
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"PRAGMA wal_checkpoint({mode})";
        using var reader = command.ExecuteReader();
        // busy | pages in the log | pages copied
        reader.Read();
        var isDone = reader.GetInt32(0) == 0;
        if (!isDone)
        {
            Log.Busy(logger, mode);
        }

        return (isDone, reader.GetInt64(1) * PageBytes(connection));
    }

    private static long PageBytes(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA page_size";
        return (long)command.ExecuteScalar()!;
    }

    private long LogBytes()
    {
        var log = new FileInfo(file.WalPath);
        return log.Exists ? log.Length : 0;
    }

    private sealed class Release(Action release) : IDisposable
    {
        private int _released;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _released, 1) == 0)
            {
                release();
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Debug, "A checkpoint ({Mode}) could not finish: readers or the writer were busy.")]
        public static partial void Busy(ILogger logger, string mode);

        [LoggerMessage(LogLevel.Warning, "A checkpoint failed; the write-ahead log grows until one succeeds.")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
