using System.Threading.Channels;
using ChatHistory.Storage.V1;

namespace ChatHistory.Bench.Storage;

/// <summary>
/// Carries commands as the gateway's <c>WriteBatcher</c> does, without its repetitions: one call in flight, and what waits meanwhile travels together
/// in the next one.
/// </summary>
internal sealed class TurnBatcher : IAsyncDisposable
{
    private const int MaxCommands = 256;

    private readonly Channel<(WriteCommand Command, TaskCompletionSource<WriteResult> Done)> _waiting =
        Channel.CreateUnbounded<(WriteCommand, TaskCompletionSource<WriteResult>)>(new UnboundedChannelOptions { SingleReader = true });

    private readonly Turns.TurnsClient _turns;
    private readonly Task _running;

    public TurnBatcher(Turns.TurnsClient turns)
    {
        _turns = turns;
        _running = RunAsync();
    }

    /// <exception cref="InvalidOperationException">Storage refused it: a fault of the harness.</exception>
    public async Task<WriteResult> WriteAsync(WriteCommand command)
    {
        var done = new TaskCompletionSource<WriteResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Writer.TryWrite((command, done));
        var result = await done.Task;
        return result.Refusal is null ? result : throw new InvalidOperationException($"Storage refused: {result.Refusal.Reason} {result.Refusal.Detail}");
    }

    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await _running;
    }

    private async Task RunAsync()
    {
        var batch = new List<TaskCompletionSource<WriteResult>>(MaxCommands);
        while (await _waiting.Reader.WaitToReadAsync())
        {
            var request = new WriteRequest();
            while (batch.Count < MaxCommands && _waiting.Reader.TryRead(out var next))
            {
                request.Commands.Add(next.Command);
                batch.Add(next.Done);
            }

            try
            {
                var reply = await _turns.WriteAsync(request, deadline: TimeProvider.System.GetUtcNow().AddSeconds(30).UtcDateTime);
                for (var i = 0; i < batch.Count; i++)
                {
                    batch[i].SetResult(reply.Results[i]);
                }
            }
            catch (Exception exception)
            {
                foreach (var done in batch)
                {
                    done.TrySetException(exception);
                }
            }

            batch.Clear();
        }
    }
}
