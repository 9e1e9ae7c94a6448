using System.Threading.Channels;
using ChatHistory.StorageService.Database;
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
/// </remarks>
internal sealed partial class DatabaseWriter(
    DatabaseFile file,
    WalCheckpointer checkpointer,
    StorageMetrics metrics,
    IOptions<WriterOptions> options,
    TimeProvider time,
    ILogger<DatabaseWriter> logger)
{
    private readonly Channel<Call> _queue = Channel.CreateBounded<Call>(
        new BoundedChannelOptions(options.Value.MaxQueuedCalls)
        {
            SingleReader = true,
            // All that then runs on the caller's thread is waking up ours.
            AllowSynchronousContinuations = true,
        });

    private readonly int _maxBatch = options.Value.MaxBatch;
    private readonly long _maxQueuedBytes = options.Value.MaxQueuedBytes;
    private readonly List<Call> _calls = [];
    private PreparedConnection? _connection;
    private Thread? _thread;
    private long _queuedBytes;
    private volatile bool _lastBatchFailed;
    private volatile bool _stopping;

    public bool IsAlive => _thread is { IsAlive: true };

    public bool LastBatchFailed => _lastBatchFailed;

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

    private Task EnqueueAsync(Call call) => _queue.Writer.TryWrite(call) ? call.Done.Task : throw Refusal();

    private void Run()
    {
        while (_queue.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            var commands = 0;
            Call? between = null;
            while (commands < _maxBatch && between is null && _queue.Reader.TryRead(out var call))
            {
                if (call.Between is null)
                {
                    _calls.Add(call);
                    commands += call.Commands.Count;
                }
                else
                {
                    between = call;
                }
            }

            if (_calls.Count > 0)
            {
                Write(commands);
                foreach (var call in _calls)
                {
                    Interlocked.Add(ref _queuedBytes, -call.Size);
                    call.Done.SetResult();
                }

                _calls.Clear();
            }

            between?.RunBetween();
        }
    }

    private void Write(int count)
    {
        var started = time.GetTimestamp();
        var now = UtcText.Of(time.GetUtcNow());
        try
        {
            _connection ??= file.OpenWriter();
            _connection.Begin();
        }
        catch (Exception exception)
        {
            FailAll(exception);
            return;
        }

        try
        {
            foreach (var call in _calls)
            {
                foreach (var command in call.Commands)
                {
                    command.Execute(_connection, now);
                }
            }
        }
        catch (Exception exception)
        {
            RollBack();
            Log.BatchFailed(logger, exception, count);
            WriteOneByOne(now);
            return;
        }

        try
        {
            _connection.Commit();
        }
        catch (Exception exception)
        {
            FailAll(exception);
            return;
        }

        _lastBatchFailed = false;
        metrics.Committed(count, time.GetElapsedTime(started));
        checkpointer.Committed(count, _calls.Sum(call => call.Size));
    }

    private void WriteOneByOne(string now)
    {
        foreach (var command in _calls.SelectMany(call => call.Commands))
        {
            command.Failure = WriteAlone(command, now);
            if (command.Failure is not null)
            {
                RollBack();
                Log.CommandFailed(logger, command.Failure, command.GetType().Name);
            }
        }
    }

    private Exception? WriteAlone(WriteCommand command, string now)
    {
        var started = time.GetTimestamp();
        try
        {
            _connection ??= file.OpenWriter();
            _connection.Begin();
            command.Execute(_connection, now);
        }
        catch (Exception exception)
        {
            _lastBatchFailed = IsOfTheDisk(exception);
            return exception;
        }

        try
        {
            _connection.Commit();
        }
        catch (Exception exception)
        {
            _lastBatchFailed = true;
            CloseConnection();
            return exception;
        }

        _lastBatchFailed = false;
        metrics.Committed(1, time.GetElapsedTime(started));
        checkpointer.Committed(1, command.Size);
        return null;
    }

    private void FailAll(Exception exception)
    {
        _lastBatchFailed = true;
        Log.CommitFailed(logger, exception);
        foreach (var command in _calls.SelectMany(call => call.Commands))
        {
            command.Failure = exception;
        }

        CloseConnection();
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

    /// <summary>True for what is wrong with the disk or the file; false for what is wrong with one command.</summary>
    private static bool IsOfTheDisk(Exception exception) => exception is SqliteException { SqliteErrorCode: not 19 } or DatabaseStartException;

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
