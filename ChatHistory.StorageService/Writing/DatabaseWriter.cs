using System.Threading.Channels;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Space;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Writing;

/// <summary>
/// The one writer. Calls queue; a thread of its own takes all that wait, has them written together (<see cref="GroupCommit"/>), and then acknowledges them.
/// A turn's call that finds nobody writing and nothing waiting writes by itself: to wake another thread, and be woken by it, takes longer than its transaction.
/// </summary>
/// <remarks>A thread and not a task, because SQLite has no asynchronous I/O: each commit blocks for an fsync.</remarks>
internal sealed class DatabaseWriter(GroupCommit commit, StorageMetrics metrics, IOptions<WriterOptions> options)
{
    // More is written by the thread of our own, so that none of the pool's is kept for long.
    private const int MaxBytesOnCallersThread = 64 * 1024;

    private readonly Channel<Call> _queue = Channel.CreateBounded<Call>(new BoundedChannelOptions(options.Value.MaxQueuedCalls) { SingleReader = true });

    // Says who writes, and wakes our thread, which sleeps at once: whoever waits for the channel itself looks again and again for a while first,
    // and those were more system calls than all that SQLite made.
    private readonly object _turn = new();
    private bool _isWriting;

    private readonly int _maxBatch = options.Value.MaxBatch;
    private readonly long _maxQueuedBytes = options.Value.MaxQueuedBytes;
    private readonly List<Call> _calls = [];
    private readonly List<WriteCommand> _batch = [];
    private Thread? _thread;
    private long _queuedBytes;
    private volatile bool _stopping;

    public bool IsAlive => _thread is { IsAlive: true };

    /// <summary>What was wrong with the last write. <see cref="DiskWatch"/> tries again until it is right.</summary>
    public WriterTrouble Trouble => commit.Trouble;

    public void Start(PreparedConnection connection)
    {
        commit.Connection = connection;
        metrics.ObserveQueue(() => _queue.Reader.Count);
        _thread = new Thread(Run) { Name = "database writer", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Accepts nothing more, writes what waits, and closes the connection.</summary>
    public async Task StopAsync()
    {
        lock (_turn)
        {
            _stopping = true;
            _queue.Writer.TryComplete();
            Monitor.Pulse(_turn);
        }

        if (_thread is { } thread)
        {
            await Task.Run(thread.Join);
        }

        commit.Close();
    }

    /// <summary>Writes one command, however long that takes; throws when it could not be written.</summary>
    /// <exception cref="Grpc.Core.RpcException">The status of the failure.</exception>
    public async Task RunAsync(WriteCommand command, CancellationToken cancellationToken)
    {
        await QueueAsync(NewCall([command]), cancellationToken);
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
    /// Writes commands of turns in their order, in one transaction. Ends when they are durable, or when <see cref="WriteCommand.Failure"/> says
    /// why one is not. Cancellation ends the waiting in the queue, not the writing.
    /// </summary>
    /// <exception cref="Grpc.Core.RpcException">Nothing was written: RESOURCE_EXHAUSTED when too much waits, UNAVAILABLE when stopping.</exception>
    public Task RunTurnsAsync(IReadOnlyList<WriteCommand> commands, CancellationToken cancellationToken)
    {
        var call = NewCall(commands);
        if (call.Size > MaxBytesOnCallersThread || !TryBegin())
        {
            return QueueAsync(call, cancellationToken);
        }

        try
        {
            commit.Write(commands);
        }
        finally
        {
            Interlocked.Add(ref _queuedBytes, -call.Size);
            End();
        }

        return Task.CompletedTask;
    }

    private Call NewCall(IReadOnlyList<WriteCommand> commands)
    {
        var call = new Call(commands);
        if (Interlocked.Add(ref _queuedBytes, call.Size) > _maxQueuedBytes)
        {
            Interlocked.Add(ref _queuedBytes, -call.Size);
            throw StorageStatus.Overloaded("Too many bytes wait to be written; try again later.");
        }

        return call;
    }

    private Task QueueAsync(Call call, CancellationToken cancellationToken = default)
    {
        if (!_queue.Writer.TryWrite(call))
        {
            Interlocked.Add(ref _queuedBytes, -call.Size);
            throw Refusal();
        }

        lock (_turn)
        {
            Monitor.Pulse(_turn);
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
        QueueAsync(new Call(() => work(commit.Connection)));

    /// <summary>The same with the connection closed. The next transaction opens a new one.</summary>
    public Task WhileClosedAsync(Action work) =>
        QueueAsync(new Call(() =>
        {
            commit.Close();
            work();
        }));

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
                commit.Write(_batch);
                foreach (var call in _calls)
                {
                    Interlocked.Add(ref _queuedBytes, -call.Size);
                    call.Done.SetResult();
                }

                _calls.Clear();
                _batch.Clear();
            }

            between?.RunBetween();
            End();
        }
    }

    /// <summary>True for a caller that may write now, by itself, and then must <see cref="End"/>.</summary>
    private bool TryBegin()
    {
        lock (_turn)
        {
            return _thread is not null && !_stopping && !_isWriting && !_queue.Reader.TryPeek(out _) && (_isWriting = true);
        }
    }

    private void End()
    {
        lock (_turn)
        {
            _isWriting = false;
            // Our thread is not woken for nothing: that is what a call that writes by itself saves.
            if (_stopping || _queue.Reader.TryPeek(out _))
            {
                Monitor.Pulse(_turn);
            }
        }
    }

    /// <summary>False: none will come any more. True: something waits, and it is our thread that writes.</summary>
    private bool WaitForCalls()
    {
        // Looked at under the lock, so that nobody's waking is missed in between.
        lock (_turn)
        {
            while (_isWriting || !_queue.Reader.TryPeek(out _))
            {
                // Completed only when it is empty, too.
                if (!_isWriting && _queue.Reader.Completion.IsCompleted)
                {
                    return false;
                }

                Monitor.Wait(_turn);
            }

            return _isWriting = true;
        }
    }

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
}
