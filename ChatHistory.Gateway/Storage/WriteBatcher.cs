using System.Diagnostics;
using System.Threading.Channels;
using ChatHistory.Storage.V1;
using Grpc.Core;
using OpenTelemetry;

namespace ChatHistory.Gateway.Storage;

/// <summary>
/// Carries the writes of all turns to the storage service: one call in flight at a time, and while it is under way the commands of all
/// waiting turns gather and travel together in the next one. Under load many turns share one call and one fsync; a lone turn waits for nobody.
/// </summary>
/// <remarks>
/// Every command is idempotent by the ids it carries. So when a call fails because storage restarts, or the disk did not take it, its commands are sent again,
/// each until its own patience ends; then its caller gets <see cref="StorageUnavailableException"/>.
/// </remarks>
internal sealed partial class WriteBatcher(TurnsClient turns, TimeProvider time, ILogger<WriteBatcher> logger) : BackgroundService
{
    private const int MaxCommands = 256;
    private const int MaxBytes = 8 * 1024 * 1024;

    // What storage takes in one call, less what the call puts around the command (StorageServices.MaxMessageBytes there).
    private const int MaxCommandBytes = 159 * 1024 * 1024;
    private const int MaxWaiting = 16 * 1024;
    private static readonly TimeSpan s_callDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_pauseAfterFailure = TimeSpan.FromMilliseconds(100);

    private readonly Channel<Write> _waiting = Channel.CreateBounded<Write>(
        new BoundedChannelOptions(MaxWaiting) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });

    /// <summary>Commits one command and returns storage's answer to it.</summary>
    /// <param name="command">The command; must not be changed afterwards.</param>
    /// <param name="patience">For how long an unavailable storage service is tried again.</param>
    /// <exception cref="StorageUnavailableException">Not committed, as far as is known, within <paramref name="patience"/>.</exception>
    public Task<WriteResult> WriteAsync(WriteCommand command, TimeSpan patience)
    {
        var write = new Write(command, time.GetTimestamp(), patience);
        if (write.Bytes > MaxCommandBytes)
        {
            throw new StorageUnavailableException($"the write has {write.Bytes} bytes; storage takes at most {MaxCommandBytes}");
        }

        return _waiting.Writer.TryWrite(write)
            ? write.Completion.Task
            : throw new StorageUnavailableException($"{MaxWaiting} writes are waiting for the storage service already");
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The call belongs to no single trace: each command brings its own trace context instead.
        using var suppressed = SuppressInstrumentationScope.Begin();
        var batch = new List<Write>(MaxCommands);

        // Runs until the channel is completed, not until the host stops: turns that end during a shutdown still commit.
        while (batch.Count > 0 || await _waiting.Reader.WaitToReadAsync(CancellationToken.None))
        {
            Gather(batch);
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
                // Whatever it was: this loop serves every turn and must not end before the process does.
                Log.CallFailed(logger, exception, batch.Count);
                batch.RemoveAll(write => GivesUp(write, exception));
                await Task.Delay(s_pauseAfterFailure, time, CancellationToken.None);
            }
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // Kestrel stops first (hosted services stop in reverse order), so no request can add a write any more.
        _waiting.Writer.TryComplete();
        if (ExecuteTask is { } running)
        {
            await running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await base.StopAsync(cancellationToken);
    }

    private void Gather(List<Write> batch)
    {
        // A large one travels alone: a call that storage refuses for its size must not take others with it.
        var bytes = batch.Sum(write => (long)write.Bytes);
        while (batch.Count < MaxCommands
            && _waiting.Reader.TryPeek(out var next)
            && (batch.Count == 0 || bytes + next.Bytes <= MaxBytes)
            && _waiting.Reader.TryRead(out var write))
        {
            batch.Add(write);
            bytes += write.Bytes;
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

    private sealed class Write(WriteCommand command, long began, TimeSpan patience)
    {
        public WriteCommand Command { get; } = command;

        public long Began { get; } = began;

        public TimeSpan Patience { get; } = patience;

        public bool CanBeShed => Command.CommandCase is WriteCommand.CommandOneofCase.BeginTurn or WriteCommand.CommandOneofCase.AppendMessage;

        public int Bytes { get; } = command.CalculateSize();

        // Continuations must not run on the batcher's loop: they would hold up everybody's next call.
        public TaskCompletionSource<WriteResult> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Storage did not take a batch of {Count} writes")]
        public static partial void CallFailed(ILogger logger, Exception exception, int count);
    }
}
