using System.Diagnostics;
using ChatHistory.Storage.V1;
using Grpc.Core;
using OpenTelemetry;

namespace ChatHistory.Gateway.Storage;

/// <summary>
/// Carries the writes of all turns to the storage service: one call in flight at a time, and while it is under way the commands of all
/// waiting turns gather and travel together in the next one. Under load many turns share one call and one fsync; a lone turn waits for nobody.
/// </summary>
/// <remarks>
/// Commands are carried out in the order in which they were given: who adds several messages to a session relies on it. A second call in flight would break that.
/// Every command is idempotent by the ids it carries. So when a call fails because storage restarts, or the disk did not take it, its commands are sent again,
/// each until its own patience ends; then its caller gets <see cref="StorageUnavailableException"/>.
/// </remarks>
internal sealed partial class WriteBatcher(TurnsClient turns, TimeProvider time, ILogger<WriteBatcher> logger) : IHostedService
{
    private const int MaxCommands = 256;
    private const int MaxBytes = 8 * 1024 * 1024;

    // What storage takes in one call, less what the call puts around the command (StorageServices.MaxMessageBytes there).
    private const int MaxCommandBytes = 159 * 1024 * 1024;
    private const int MaxWaiting = 16 * 1024;
    private static readonly TimeSpan s_callDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_pauseAfterFailure = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private readonly Queue<Write> _waiting = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ExecutionContext _ofNobody = ContextOfNobody();
    private bool _isCalling;
    private bool _stopping;

    /// <summary>Commits one command and returns storage's answer to it.</summary>
    /// <param name="command">The command; must not be changed afterwards.</param>
    /// <param name="patience">For how long an unavailable storage service is tried again.</param>
    /// <exception cref="StorageUnavailableException">Not committed, as far as is known, within <paramref name="patience"/>.</exception>
    public Task<WriteResult> WriteAsync(WriteCommand command, TimeSpan patience)
    {
        var write = NewWrite(command, patience);
        Send(write);
        return write.Completion.Task;
    }

    /// <summary>Commits commands that belong together, in their order; in one transaction, unless they are many megabytes.</summary>
    /// <inheritdoc cref="WriteAsync" path="/param|/exception"/>
    public Task<WriteResult[]> WriteAllAsync(IEnumerable<WriteCommand> commands, TimeSpan patience)
    {
        var writes = commands.Select(command => NewWrite(command, patience)).ToArray();
        Send(writes);
        return Task.WhenAll(writes.Select(write => write.Completion.Task));
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            // Kestrel stops first (hosted services stop in reverse order), so no request can add a write any more; those that wait are still written.
            _stopping = true;
            if (!_isCalling)
            {
                return;
            }
        }

        await _ended.Task.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private Write NewWrite(WriteCommand command, TimeSpan patience)
    {
        var write = new Write(command, time.GetTimestamp(), patience);
        return write.Bytes <= MaxCommandBytes
            ? write
            : throw new StorageUnavailableException($"the write has {write.Bytes} bytes; storage takes at most {MaxCommandBytes}");
    }

    private void Send(params ReadOnlySpan<Write> writes)
    {
        lock (_lock)
        {
            if (_stopping || _waiting.Count + writes.Length > MaxWaiting)
            {
                throw new StorageUnavailableException(_stopping ? "the gateway stops" : $"{MaxWaiting} writes are waiting for the storage service already");
            }

            foreach (var write in writes)
            {
                _waiting.Enqueue(write);
            }

            if (_isCalling)
            {
                return;
            }

            _isCalling = true;
        }

        // On this thread until the call waits for storage: to hand it over to another one first takes longer than to send it.
        ExecutionContext.Run(_ofNobody, static batcher => _ = ((WriteBatcher)batcher!).CallAsync(), this);
    }

    /// <summary>One call after the other, as long as there is something to write.</summary>
    private async Task CallAsync()
    {
        var batch = new List<Write>();
        while (Gather(batch))
        {
            try
            {
                await CommitAsync(batch);
                if (batch.Count > 0)
                {
                    await Task.Delay(s_pauseAfterFailure, time, CancellationToken.None);
                }
            }
            catch (Exception exception)
            {
                // Whatever it was: this loop serves every turn and must not end while one waits.
                Log.CallFailed(logger, exception, batch.Count);
                batch.RemoveAll(write => GivesUp(write, exception));
                await Task.Delay(s_pauseAfterFailure, time, CancellationToken.None);
            }
        }
    }

    /// <summary>False: there is nothing to write, and the caller calls no more.</summary>
    private bool Gather(List<Write> batch)
    {
        var bytes = batch.Sum(write => (long)write.Bytes);
        lock (_lock)
        {
            // A large one travels alone: a call that storage refuses for its size must not take others with it.
            while (batch.Count < MaxCommands && _waiting.TryPeek(out var next) && (batch.Count == 0 || bytes + next.Bytes <= MaxBytes))
            {
                batch.Add(_waiting.Dequeue());
                bytes += next.Bytes;
            }

            if (batch.Count > 0)
            {
                return true;
            }

            _isCalling = false;
            if (_stopping)
            {
                _ended.TrySetResult();
            }

            return false;
        }
    }

    private async Task CommitAsync(List<Write> batch)
    {
        var request = new WriteRequest();
        foreach (var write in batch)
        {
            request.Commands.Add(write.Command);
        }

        var reply = await turns.WriteAsync(request, deadline: (time.GetUtcNow() + s_callDeadline).UtcDateTime);
        Debug.Assert(reply.Results.Count == batch.Count, "storage.proto: results[i] belongs to commands[i]");
        var again = new List<Write>();
        for (var i = 0; i < batch.Count; i++)
        {
            // Storage opens its file anew after a write that failed, so the same write may well succeed.
            if (reply.Results[i].Refusal?.Reason == Refusal.Types.Reason.NotWritten && HasPatience(batch[i]))
            {
                again.Add(batch[i]);
            }
            else
            {
                batch[i].Completion.TrySetResult(reply.Results[i]);
            }
        }

        batch.Clear();
        batch.AddRange(again);
    }

    private bool HasPatience(Write write) => time.GetElapsedTime(write.Began) < write.Patience;

    private bool GivesUp(Write write, Exception exception)
    {
        if (HasPatience(write) && !(IsOverloaded(exception) && write.CanBeShed))
        {
            return false;
        }

        write.Completion.TrySetException(new StorageUnavailableException($"storage did not commit within {write.Patience}", exception));
        return true;
    }

    // Storage has too much to do. Whoever has begun nothing yet is told at once; what ends a turn is worth the wait.
    private static bool IsOverloaded(Exception exception) => exception is RpcException { StatusCode: StatusCode.ResourceExhausted };

    /// <summary>A call carries the writes of many, so it belongs to no trace and to no request: each command brings its own trace context instead.</summary>
    private static ExecutionContext ContextOfNobody()
    {
        ExecutionContext? context = null;
        var thread = new Thread(() =>
        {
            using var suppressed = SuppressInstrumentationScope.Begin();
            context = ExecutionContext.Capture();
        });
        thread.UnsafeStart();
        thread.Join();
        return context!;
    }

    private sealed class Write(WriteCommand command, long began, TimeSpan patience)
    {
        public WriteCommand Command { get; } = command;

        public long Began { get; } = began;

        public TimeSpan Patience { get; } = patience;

        public bool CanBeShed => Command.CommandCase is WriteCommand.CommandOneofCase.BeginTurn or WriteCommand.CommandOneofCase.AppendMessage;

        public int Bytes { get; } = command.CalculateSize();

        // Continuations must not run inside of the call: they would hold up everybody's next one.
        public TaskCompletionSource<WriteResult> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Storage did not take a batch of {Count} writes")]
        public static partial void CallFailed(ILogger logger, Exception exception, int count);
    }
}
