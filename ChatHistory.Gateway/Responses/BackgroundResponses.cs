using System.Buffers;
using System.Collections.Concurrent;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Turns;

namespace ChatHistory.Gateway.Responses;

/// <summary>Turns that nobody waits for. They live longer than their requests, so the gateway's end waits for them here.</summary>
internal sealed partial class BackgroundResponses(TurnRunner runner, ILogger<BackgroundResponses> logger) : IHostedService
{
    private readonly ConcurrentDictionary<Task, byte> _running = new();

    /// <summary>Begins a turn and returns when that is committed; the answer is made afterwards.</summary>
    /// <param name="request">Is disposed when the answer is made.</param>
    public async Task<Turn> BeginAsync(TurnRequest request, Caller caller)
    {
        var nobody = new Nobody();
        var running = RunAsync(request, caller, nobody);
        _running[running] = 0;
        _ = running.ContinueWith(ended => _running.TryRemove(ended, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        await Task.WhenAny(nobody.Beginning, running);
        if (!nobody.Beginning.IsCompletedSuccessfully)
        {
            // It did not even begin: the client is told why.
            await running;
        }

        return await nobody.Beginning;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(_running.Keys).WaitAsync(cancellationToken).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

    private async Task RunAsync(TurnRequest request, Caller caller, Nobody nobody)
    {
        using (request)
        {
            try
            {
                await runner.RunAsync(request, caller, nobody, CancellationToken.None);
            }
            catch (Exception exception) when (nobody.Beginning.IsCompleted)
            {
                // There is no client to tell; the turn says that it failed.
                Log.Failed(logger, exception, request.RequestId);
            }
        }
    }

    /// <summary>Gets the answer of a turn that nobody listens to.</summary>
    private sealed class Nobody : IAnswerWriter
    {
        private readonly TaskCompletionSource<Turn> _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<Turn> Beginning => _begun.Task;

        public void Begun(Turn turn) => _begun.TrySetResult(turn);

        public ValueTask StartAsync() => ValueTask.CompletedTask;

        public void Write(in ReadOnlySequence<byte> frame, ReadOnlyMemory<byte> data, ChunkKind kind)
        {
        }

        public ValueTask FlushAsync() => ValueTask.CompletedTask;

        public ValueTask HeartbeatAsync() => ValueTask.CompletedTask;

        public ValueTask EndAsync(RelayResult result, CompletionObserver observer) => ValueTask.CompletedTask;

        public ValueTask SendAsync(ReadOnlyMemory<byte> body, CompletionObserver observer) => ValueTask.CompletedTask;

        public ValueTask FailAsync(OpenAIError error, CompletionObserver observer) => ValueTask.CompletedTask;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The background response of request {RequestId} failed")]
        public static partial void Failed(ILogger logger, Exception exception, string requestId);
    }
}
