using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Space;
using Microsoft.Data.Sqlite;

namespace ChatHistory.StorageService.Writing;

/// <summary>Runs commands in one transaction: one fsync carries many turns. Owns the connection that writes. Used by one thread at a time: whose turn it is, says <see cref="DatabaseWriter"/>.</summary>
/// <remarks>
/// If a command fails, the transaction is rolled back and each command is run in one of its own, so that only the guilty one fails.
/// If a COMMIT fails, nothing is acknowledged and the connection is opened anew: after a failed fsync nobody knows what is on disk.
/// If the disk is full, the ballast is given up, and only what may use it is written; when that is used up too, the log is emptied first.
/// </remarks>
internal sealed partial class GroupCommit(
    DatabaseFile file, WalCheckpointer checkpointer, Ballast ballast, StorageMetrics metrics, TimeProvider time, ILogger<GroupCommit> logger)
{
    private PreparedConnection? _connection;
    private volatile WriterTrouble _trouble;

    /// <summary>What was wrong with the last write.</summary>
    public WriterTrouble Trouble => _trouble;

    /// <summary>The connection that writes, opened where it is not.</summary>
    public PreparedConnection Connection
    {
        get => _connection ??= file.OpenWriter();
        set => _connection = value;
    }

    /// <summary>Ends when each command is durable, or has a <see cref="WriteCommand.Failure"/> that says why not.</summary>
    public void Write(IReadOnlyList<WriteCommand> batch)
    {
        var started = time.GetTimestamp();
        var now = UtcText.Of(time.GetUtcNow());
        if (ballast.IsReleased)
        {
            // Together they would only fail together.
            WriteOneByOne(batch, now);
            return;
        }

        try
        {
            Connection.Begin();
        }
        catch (Exception exception)
        {
            FailAll(batch, exception, now);
            return;
        }

        try
        {
            foreach (var command in batch)
            {
                Execute(command, now);
            }
        }
        catch (Exception exception)
        {
            RollBack();
            Log.BatchFailed(logger, exception, batch.Count);
            WriteOneByOne(batch, now);
            return;
        }

        try
        {
            Connection.Commit();
        }
        catch (Exception exception)
        {
            FailAll(batch, exception, now);
            return;
        }

        Committed(batch.Count, batch.Sum(command => (long)command.Size), started);
    }

    private void WriteOneByOne(IReadOnlyList<WriteCommand> batch, string now)
    {
        Exception? ofTheDisk = null;
        foreach (var command in batch)
        {
            // What failed for one because of the disk fails for all: trying each would only keep their callers waiting.
            command.Failure = ofTheDisk ?? WriteAlone(command, now);
            if (command.Failure is not null)
            {
                Log.CommandFailed(logger, command.Failure, command.GetType().Name);
                ofTheDisk = TroubleOf(command.Failure) is WriterTrouble.Disk or WriterTrouble.Locked ? command.Failure : null;
            }
        }
    }

    private Exception? WriteAlone(WriteCommand command, string now)
    {
        if (ballast.IsReleased && !command.MayUseBallast)
        {
            _trouble = WriterTrouble.DiskFull;
            return new DiskFullException();
        }

        var failure = TryWriteAlone(command, now);
        if (ballast.SaysDiskIsFull(failure) && ballast.Release() && command.MayUseBallast)
        {
            failure = TryWriteAlone(command, now);
        }

        if (ballast.SaysDiskIsFull(failure) && command.MayUseBallast)
        {
            // What was deleted just before may have used up the ballast: it lies in the log until the log is emptied.
            checkpointer.MakeRoom();
            failure = TryWriteAlone(command, now);
        }

        return failure;
    }

    private Exception? TryWriteAlone(WriteCommand command, string now)
    {
        var started = time.GetTimestamp();
        try
        {
            Connection.Begin();
            Execute(command, now);
        }
        catch (Exception exception)
        {
            RollBack();
            return Failed(exception);
        }

        try
        {
            Connection.Commit();
        }
        catch (Exception exception)
        {
            Close();
            return Failed(exception);
        }

        Committed(1, command.Size, started);
        return null;
    }

    private void Execute(WriteCommand command, string now)
    {
        Connection.HasTriggers = !command.CountsItself;
        command.Execute(Connection, now);
    }

    private void Committed(int commands, long bytes, long started)
    {
        // While the ballast is given up, a delete that worked does not say that there is room.
        _trouble = ballast.IsReleased ? WriterTrouble.DiskFull : WriterTrouble.None;
        metrics.Committed(commands, time.GetElapsedTime(started));
        checkpointer.Committed(commands, bytes);
    }

    private Exception Failed(Exception exception)
    {
        var trouble = TroubleOf(exception);
        // What is wrong with one command says nothing about the disk.
        _trouble = trouble == WriterTrouble.None ? _trouble : trouble;
        return exception;
    }

    private void FailAll(IReadOnlyList<WriteCommand> batch, Exception exception, string now)
    {
        Log.CommitFailed(logger, exception);
        Close();
        if (TroubleOf(exception) == WriterTrouble.DiskFull)
        {
            // Perhaps some fit, or may use the ballast.
            WriteOneByOne(batch, now);
            return;
        }

        _trouble = TroubleOf(exception) is var trouble and not WriterTrouble.None ? trouble : WriterTrouble.Disk;
        foreach (var command in batch)
        {
            command.Failure = exception;
        }
    }

    private void RollBack()
    {
        try
        {
            _connection?.Rollback();
        }
        catch (SqliteException)
        {
            // A connection that cannot even roll back is of no more use; closing it does the same.
            Close();
        }
    }

    /// <summary>The next write opens a new one.</summary>
    public void Close()
    {
        try
        {
            _connection?.Dispose();
        }
        catch (SqliteException exception)
        {
            Log.CloseFailed(logger, exception);
        }

        _connection = null;
    }

    /// <summary>What a failure says about the disk or the file; none for what is wrong with one command.</summary>
    private WriterTrouble TroubleOf(Exception exception) => exception switch
    {
        _ when ballast.SaysDiskIsFull(exception) => WriterTrouble.DiskFull,
        // SQLITE_BUSY, SQLITE_LOCKED
        SqliteException { SqliteErrorCode: 5 or 6 } => WriterTrouble.Locked,
        // SQLITE_ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE
        SqliteException { SqliteErrorCode: 1 or 18 or 19 or 20 or 25 } => WriterTrouble.None,
        SqliteException or DatabaseStartException => WriterTrouble.Disk,
        _ => WriterTrouble.None,
    };

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "A transaction of {Count} commands failed; each is run on its own.")]
        public static partial void BatchFailed(ILogger logger, Exception exception, int count);

        [LoggerMessage(LogLevel.Error, "{Command} could not be written.")]
        public static partial void CommandFailed(ILogger logger, Exception exception, string command);

        [LoggerMessage(LogLevel.Error, "A transaction could not be committed; nothing of it was acknowledged.")]
        public static partial void CommitFailed(ILogger logger, Exception exception);

        [LoggerMessage(LogLevel.Warning, "The writer's connection did not close cleanly.")]
        public static partial void CloseFailed(ILogger logger, Exception exception);
    }
}
