using System.Buffers;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Turns;

namespace ChatHistory.Gateway.Runs;

/// <summary>Gives the answer of a turn that was begun before to a client that asked for it again: from the run while it lives, else from storage.</summary>
internal sealed class RunReplay(RunRegistry runs, StoredAnswers stored, TimeProvider time)
{
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(15);

    /// <summary>A turn that storage has found.</summary>
    public async Task ReplayAsync(Turn turn, TurnRequest request, Caller caller, IAnswerWriter writer, CancellationToken clientLeft)
    {
        if (runs.Find(turn.AnswerMessageId!, caller.Scope) is { } run)
        {
            await FollowAsync(run, writer, clientLeft);
            return;
        }

        writer.Begun(turn);
        await stored.WriteAsync(turn.AnswerMessageId!, request.Completion, caller.Scope, writer, clientLeft);
    }

    /// <summary>A run that lives, or has just ended: what it has, then what comes.</summary>
    public async Task FollowAsync(Run run, IAnswerWriter writer, CancellationToken clientLeft)
    {
        using var listener = run.Listen(clientLeft);
        writer.Begun(run.Turn);
        try
        {
            if (run.IsStream)
            {
                await FollowStreamAsync(run, writer, clientLeft);
            }

            var result = await run.Ended.WaitAsync(clientLeft);
            if (result.IsAnswer && run.IsStream)
            {
                await writer.EndAsync(result, run.Observer);
            }
            else if (result.IsAnswer)
            {
                await writer.SendAsync(run.Body, run.Observer);
            }
            else
            {
                await writer.FailAsync(result.Error ?? Lost(), run.Observer);
            }

            run.IsDelivered = result.IsAnswer && !clientLeft.IsCancellationRequested;
        }
        catch (OperationCanceledException) when (clientLeft.IsCancellationRequested)
        {
            // It left again; the run goes on as long as it is wanted.
        }
    }

    private async Task FollowStreamAsync(Run run, IAnswerWriter writer, CancellationToken clientLeft)
    {
        await writer.StartAsync();
        await writer.FlushAsync();
        var number = 0;
        // What ends the stream must wait for the commit here, too.
        var observer = new CompletionObserver(run.Choices);
        while (await WaitAsync(run, number, writer, clientLeft))
        {
            foreach (var frame in run.Frames.After(number))
            {
                var sequence = new ReadOnlySequence<byte>(frame);
                var data = SseFrames.Data(sequence);
                var kind = observer.Observe(data.Span);
                if (observer.Finished)
                {
                    await writer.FlushAsync();
                    await run.Ended.WaitAsync(clientLeft);
                }

                writer.Write(sequence, data, kind);
                number++;
            }

            await writer.FlushAsync();
        }
    }

    private async Task<bool> WaitAsync(Run run, int number, IAnswerWriter writer, CancellationToken clientLeft)
    {
        var more = run.Frames.WaitAsync(number, clientLeft);
        while (true)
        {
            try
            {
                return await more.WaitAsync(s_heartbeat, time, clientLeft);
            }
            catch (TimeoutException)
            {
                await writer.HeartbeatAsync();
            }
        }
    }

    private static OpenAIError Lost() =>
        new(StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "stopped", "The answer was given up before it was complete. What had arrived of it is kept in the history.");
}
