using System.Threading.Channels;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Space;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Writing;

/// <summary>
/// The one writer. Calls queue; a thread of its own takes all that wait, runs them in one transaction, and acknowledges them after
/// its COMMIT (group commit): one fsync carries many turns.
/// </summary>
/// <remarks>
/// A thread and not a task, because SQLite has no asynchronous I/O: each commit blocks for an fsync.
/// If a command fails, the transaction is rolled back and each command is run in one of its own, so that only the guilty one fails.
/// If a COMMIT fails, nothing is acknowledged and the connection is opened anew: after a failed fsync nobody knows what is on disk.
/// If the disk is full, the ballast is given up, and only what may use it is written.
/// </remarks>
internal sealed partial class DatabaseWriter(
    DatabaseFile file,
    WalCheckpointer checkpointer,
    Ballast ballast,
    StorageMetrics metrics,
    IOptions<WriterOptions> options,
    TimeProvider time,
    ILogger<DatabaseWriter> logger)
{
    private readonly Channel<Call> _queue = Channel.CreateBounded<Call>(new BoundedChannelOptions(options.Value.MaxQueuedCalls) { SingleReader = true });

    // Wakes our thread, which sleeps at once: whoever waits for the channel itself looks again and again for a while first, and those
    // were more system calls than all that SQLite made.
    private readonly object _queued = new();

    private readonly int _maxBatch = options.Value.MaxBatch;
    private readonly long _maxQueuedBytes = options.Value.MaxQueuedBytes;
    private readonly List<Call> _calls = [];
    private readonly List<WriteCommand> _batch = [];
    private PreparedConnection? _connection;
    private Thread? _thread;
    private long _queuedBytes;
    private volatile WriterTrouble _trouble;
    private volatile bool _stopping;

    public bool IsAlive => _thread is { IsAlive: true };

    /// <summary>What was wrong with the last write. <see cref="DiskWatch"/> tries again until it is right.</summary>
    public WriterTrouble Trouble => _trouble;

    public void Start(PreparedConnection connection)
    {
        _connection = connection;
        metrics.ObserveQueue(() => _queue.Reader.Count);
        _thread = new Thread(Run) { Name = "database writer", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Accepts nothing more, writes what waits, and closes the connection.</summary>
    public async Task StopAsync()
    {
        _stopping = true;
        _queue.Writer.TryComplete();
        WakeUp();
        if (_thread is { } thread)
        {
            await Task.Run(thread.Join);
        }

        _connection?.Dispose();
        _connection = null;
    }

    /// <summary>Writes one command; throws when it could not be written.</summary>
    /// <exception cref="Grpc.Core.RpcException">The status of the failure.</exception>
    public async Task RunAsync(WriteCommand command, CancellationToken cancellationToken)
    {
        await RunAsync([command], cancellationToken);
        switch (command.Failure)
        {
            case null:
                return;
            case SqliteException exception:
                throw StorageStatus.Of(exception);
            case DiskFullException:
                throw StorageStatus.DiskFull();
            default:
                throw StorageStatus.Unavailable("The change could not be written.");
        }
    }

    /// <summary>
    /// Writes commands in their order, in one transaction. Ends when they are durable, or when <see cref="WriteCommand.Failure"/> says
    /// why one is not. Cancellation ends the waiting, not the writing.
    /// </summary>
    /// <exception cref="Grpc.Core.RpcException">Nothing was written: RESOURCE_EXHAUSTED when too much waits, UNAVAILABLE when stopping.</exception>
    public Task RunAsync(IReadOnlyList<WriteCommand> commands, CancellationToken cancellationToken)
    {
        var call = new Call(commands);
        if (Interlocked.Add(ref _queuedBytes, call.Size) > _maxQueuedBytes)
        {
            Interlocked.Add(ref _queuedBytes, -call.Size);
            throw StorageStatus.Overloaded("Too many bytes wait to be written; try again later.");
        }

        if (!_queue.Writer.TryWrite(call))
        {
            Interlocked.Add(ref _queuedBytes, -call.Size);
            throw Refusal();
        }

        WakeUp();
        return call.Done.Task.WaitAsync(cancellationToken);
    }

    private Grpc.Core.RpcException Refusal() => _stopping
        ? StorageStatus.Unavailable("The storage service is stopping.")
        : StorageStatus.Overloaded("Too many calls wait to be written; try again later.");

    /// <summary>
    /// Runs something short with the writer's connection between two transactions, when it is its turn in the queue. Nothing is written meanwhile.
    /// </summary>
    /// <exception cref="Grpc.Core.RpcException">UNAVAILABLE: the service is stopping. RESOURCE_EXHAUSTED: too many calls wait.</exception>
    public Task BetweenTransactionsAsync(Action<PreparedConnection> work) =>
        EnqueueAsync(new Call(() => work(_connection ??= file.OpenWriter())));

    /// <summary>The same with the connection closed. The next transaction opens a new one.</summary>
    public Task WhileClosedAsync(Action work) =>
        EnqueueAsync(new Call(() =>
        {
            CloseConnection();
            work();
        }));

    private Task EnqueueAsync(Call call)
    {
        if (!_queue.Writer.TryWrite(call))
        {
            throw Refusal();
        }

        WakeUp();
        return call.Done.Task;
    }

    private void Run()
    {
        while (WaitForCalls())
        {
            Call? between = null;
            while (_batch.Count < _maxBatch && between is null && _queue.Reader.TryRead(out var call))
            {
                if (call.Between is null)
                {
                    _calls.Add(call);
                    _batch.AddRange(call.Commands);
                }
                else
                {
                    between = call;
                }
            }

            if (_calls.Count > 0)
            {
                Write();
                foreach (var call in _calls)
                {
                    Interlocked.Add(ref _queuedBytes, -call.Size);
                    call.Done.SetResult();
                }

                _calls.Clear();
                _batch.Clear();
            }

            between?.RunBetween();
        }
    }

    private void WakeUp()
    {
        lock (_queued)
        {
            Monitor.Pulse(_queued);
        }
    }

    /// <summary>False: none will come any more.</summary>
    private bool WaitForCalls()
    {
        // Looked at under the lock, so that nobody's waking is missed in between.
        lock (_queued)
        {
            while (!_queue.Reader.TryPeek(out _))
            {
                // Completed only when it is empty, too.
                if (_queue.Reader.Completion.IsCompleted)
                {
                    return false;
                }

                Monitor.Wait(_queued);
            }
        }

        return true;
    }

    private void Write()
    {
        var started = time.GetTimestamp();
        var now = UtcText.Of(time.GetUtcNow());
        if (ballast.IsReleased)
        {
            // Together they would only fail together.
            WriteOneByOne(now);
            return;
        }

        try
        {
            _connection ??= file.OpenWriter();
            _connection.Begin();
        }
        catch (Exception exception)
        {
            FailAll(exception, now);
            return;
        }

        try
        {
            foreach (var command in _batch)
            {
                Execute(command, now);
            }
        }
        catch (Exception exception)
        {
            RollBack();
            Log.BatchFailed(logger, exception, _batch.Count);
            WriteOneByOne(now);
            return;
        }

        try
        {
            _connection.Commit();
        }
        catch (Exception exception)
        {
            FailAll(exception, now);
            return;
        }

        Committed(_batch.Count, _batch.Sum(command => (long)command.Size), started);
    }

    private void WriteOneByOne(string now)
    {
        Exception? ofTheDisk = null;
        foreach (var command in _batch)
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
        return failure is not null && TroubleOf(failure) == WriterTrouble.DiskFull && ballast.Release() && command.MayUseBallast
            ? TryWriteAlone(command, now)
            : failure;
    }

    private Exception? TryWriteAlone(WriteCommand command, string now)
    {
        var started = time.GetTimestamp();
        try
        {
            _connection ??= file.OpenWriter();
            _connection.Begin();
            Execute(command, now);
        }
        catch (Exception exception)
        {
            RollBack();
            return Failed(exception);
        }

        try
        {
            _connection.Commit();
        }
        catch (Exception exception)
        {
            CloseConnection();
            return Failed(exception);
        }

        Committed(1, command.Size, started);
        return null;
    }

    private void Execute(WriteCommand command, string now)
    {
        _connection!.HasTriggers = !command.CountsItself;
        command.Execute(_connection, now);
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

    private void FailAll(Exception exception, string now)
    {
        Log.CommitFailed(logger, exception);
        CloseConnection();
        if (TroubleOf(exception) == WriterTrouble.DiskFull)
        {
            // Perhaps some fit, or may use the ballast.
            WriteOneByOne(now);
            return;
        }

        _trouble = TroubleOf(exception) is var trouble and not WriterTrouble.None ? trouble : WriterTrouble.Disk;
        foreach (var command in _batch)
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
            CloseConnection();
        }
    }

    /// <summary>The next write opens a new one.</summary>
    private void CloseConnection()
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

    private sealed class Call(IReadOnlyList<WriteCommand> commands)
    {
        public Call(Action between)
            : this([]) => Between = between;

        public IReadOnlyList<WriteCommand> Commands { get; } = commands;

        /// <summary>What runs between transactions, in the place of commands.</summary>
        public Action? Between { get; }

        public long Size { get; } = commands.Sum(command => (long)command.Size);

        // The writer's thread must not run its callers' code.
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void RunBetween()
        {
            try
            {
                Between!();
                Done.SetResult();
            }
            catch (Exception exception)
            {
                // Its caller's: the writer goes on.
                Done.SetException(exception);
            }
        }
    }

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
