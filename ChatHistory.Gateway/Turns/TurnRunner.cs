using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Context;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.RateLimits;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Runs;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.Telemetry;
using ChatHistory.Gateway.Upstream;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Turns;

/// <summary>Carries out one turn, whatever dialect asked for it: nothing asked may vanish, and nothing that a client was told is finished may be lost.</summary>
/// <remarks>
/// <list type="number">
/// <item>A client that repeats itself gets the run that its first sending began (<see cref="RunReplay"/>). Everything else needs a place (<see cref="AdmissionGate"/>).</item>
/// <item>Take it off what the caller's key may (<see cref="RateLimiter"/>). Wait for the session's turn, when the request continues a session by its id (<see cref="MultitaskRule"/>).</item>
/// <item>Begin: one commit stores session, new messages and the answer's row. Only then is the model called. If storage knows the request
/// already, its answer is given again instead.</item>
/// <item>Call the model with the stored history before the new messages, as much of it as fits (<see cref="PromptBuilder"/>).</item>
/// <item>Relay the answer in the mode that was asked for (<see cref="StreamRelay"/>, <see cref="WholeRelay"/>), which ends with the second commit.</item>
/// <item>Record what it took.</item>
/// </list>
/// </remarks>
internal sealed partial class TurnRunner(
    AdmissionGate admission,
    SessionQueue queue,
    TurnStore turns,
    RunRegistry runs,
    RunReplay replay,
    PromptBuilder prompts,
    CacheSalt salts,
    VllmClient vllm,
    StreamRelay streamRelay,
    WholeRelay wholeRelay,
    RateLimiter limiter,
    ChatTelemetry telemetry,
    IOptions<VllmOptions> options,
    ILogger<TurnRunner> logger)
{
    /// <param name="request">What to do. Disposed by the caller.</param>
    /// <param name="caller">Whose turn it is.</param>
    /// <param name="writer">Who gets the answer.</param>
    /// <param name="clientLeft">Fires when the client is gone.</param>
    public async Task RunAsync(TurnRequest request, Caller caller, IAnswerWriter writer, CancellationToken clientLeft)
    {
        // Step 1: the run of an earlier sending.
        if (request.Store && await ReplayEarlierAsync(request, caller, writer, clientLeft))
        {
            return;
        }

        using var admitted = admission.Enter(AdmissionKind.Turn);

        // Step 2: what the caller may, and the session's turn. A turn that takes another's place takes it here, too.
        if (request is { SessionId: { } interrupted, Multitask: MultitaskRule.Interrupt })
        {
            await InterruptAsync(interrupted, caller, clientLeft);
        }

        using var allowance = await limiter.EnterTurnAsync(caller.Identity, TokenEstimate.Of(request.Completion), clientLeft);

        using var place = await queue.EnterAsync(caller.Scope, request is { Store: true, IsTranscriptOfSession: false } ? request.SessionId : null, request.Multitask, clientLeft);

        // Step 3: begin.
        using var run = await BeginAsync(request, caller, clientLeft);
        await using var turn = run.Turn;
        if (turn.IsFound)
        {
            await replay.ReplayAsync(turn, request, caller, writer, clientLeft);
            return;
        }

        using var listener = run.Owner;
        allowance.Watch(run.Observer);

        // Step 4: call the model.
        using var chat = telemetry.Start(request.Completion, turn, options.Value);
        RelayResult result;
        try
        {
            run.UpstreamBody = await ComposeAsync(turn, request, caller, run.Stopping);
            writer.Begun(turn);
            var answer = await vllm.PostAsync("v1/chat/completions", run.UpstreamBody, request.RequestId, run.Stopping);

            // Step 5: relay.
            using (answer.Response)
            {
                result = await RelayAsync(run, request, writer, answer);
            }
        }
        catch (OperationCanceledException) when (run.Stopping.IsCancellationRequested)
        {
            // Stopped while the prompt was being put together.
            result = await EndAsync(run, writer, run.StopResult);
        }
        catch (Exception exception)
        {
            // Ours to mend, but the history must not say "in progress" until the lease runs out.
            var failed = RelayResult.Failed(OpenAIError.Internal(request.RequestId), exception);
            try
            {
                await turn.CompleteAsync(failed, run.Observer);
            }
            finally
            {
                // Whoever follows the run must not wait for an end that nobody writes any more.
                runs.End(run, failed);
            }

            throw;
        }

        run.IsDelivered = result.IsAnswer && !clientLeft.IsCancellationRequested;
        runs.End(run, result);

        // Step 6: record.
        chat.End(result, run.Observer, turn);
        if (result.Outcome is RelayOutcome.UpstreamFailed or RelayOutcome.UpstreamIdle)
        {
            Log.Failed(logger, result.Exception, turn.SessionId, turn.AnswerMessageId, result.Error?.Code);
        }
        else if (result.Outcome == RelayOutcome.LimitReached)
        {
            Log.LimitReached(logger, turn.SessionId, turn.AnswerMessageId);
        }
        else if (result.Outcome == RelayOutcome.ClientLeft)
        {
            Log.ClientLeft(logger, turn.SessionId, turn.AnswerMessageId);
        }
    }

    private async Task<ReadOnlyMemory<byte>> ComposeAsync(Turn turn, TurnRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var history = new StoredHistory(turn.ReadHistory(), turn.OmittedBefore, turn.TokensBefore);
        var prompt = await prompts.BuildAsync(request.Completion, history, salts.Of(caller.Scope), cancellationToken);
        (turn.Omitted, turn.Repairs) = (prompt.Omitted, prompt.Fixes.Count);
        return prompt.Body;
    }

    private async Task<bool> ReplayEarlierAsync(TurnRequest request, Caller caller, IAnswerWriter writer, CancellationToken clientLeft)
    {
        if (runs.FindEarlier(request, caller.Scope) is not { } earlier)
        {
            return false;
        }

        if (!request.IsFirst || request.IdempotencyKey is not null)
        {
            await replay.FollowAsync(earlier, writer, clientLeft);
            return true;
        }

        // Its user gave it up and asks anew. One that is to go on without its client does.
        if (!earlier.ContinuesAlone)
        {
            earlier.Stop(RelayResult.ClientLeft);
            await earlier.Ended.WaitAsync(clientLeft);
        }

        return false;
    }

    private async Task InterruptAsync(string sessionId, Caller caller, CancellationToken clientLeft)
    {
        foreach (var run in runs.OfSession(sessionId, caller.Scope))
        {
            run.Stop(RelayResult.Interrupted);
            await run.Ended.WaitAsync(clientLeft);
        }
    }

    /// <summary>Begins the turn, or finds that it was begun. One that no process works on any more is taken over.</summary>
    private async Task<Run> BeginAsync(TurnRequest request, Caller caller, CancellationToken clientLeft)
    {
        if (!request.Store)
        {
            return runs.Start(await turns.WithoutStoringAsync(caller, request, clientLeft), request, caller.Scope, clientLeft);
        }

        var answerMessageId = turns.NewId();
        using var announcement = runs.Announce(answerMessageId);
        var turn = await turns.BeginAsync(caller, request, answerMessageId);
        if (turn is { IsFound: true, FoundStatus: TurnStatus.InProgress } && await runs.FindAsync(turn.AnswerMessageId!, caller.Scope) is null)
        {
            await turn.DisposeAsync();
            turn = await turns.BeginAsync(caller, request, answerMessageId, supersedes: turn.AnswerMessageId);
        }

        return runs.Start(turn, request, caller.Scope, clientLeft);
    }

    private async Task<RelayResult> RelayAsync(Run run, TurnRequest request, IAnswerWriter writer, UpstreamAnswer answer)
    {
        switch (answer)
        {
            case { Response: { IsSuccessStatusCode: true } response } when run.IsStream && response.Content.Headers.ContentType?.MediaType == "text/event-stream":
                return await streamRelay.RelayAsync(response, writer, run);

            case { Response: { IsSuccessStatusCode: true } response }:
                var (result, body) = await wholeRelay.ReadAsync(response, run);
                if (result.Outcome == RelayOutcome.Completed && request.Completion.Stream)
                {
                    // A whole answer where a stream was asked for: no client that asked for events could read it.
                    result = RelayResult.Failed(UpstreamErrors.NotACompletion());
                }

                run.Body = body;
                return await EndAsync(run, writer, result);

            case { Response: { } response }:
                var (error, text) = await UpstreamErrors.ReadAsync(response, options.Value.IdleTimeout, turns.Time, run.Stopping);
                Log.UpstreamRefused(logger, (int)response.StatusCode, telemetry.CapturesContent ? text : $"{text.Length} characters");
                return await EndAsync(run, writer, RelayResult.Failed(error));

            case { Error: { } failure }:
                return await EndAsync(run, writer, RelayResult.Failed(failure, answer.Exception));

            default:
                return await EndAsync(run, writer, run.StopResult);
        }
    }

    /// <summary>Commits the end of a turn of which the client has seen nothing yet, then answers.</summary>
    private static async Task<RelayResult> EndAsync(Run run, IAnswerWriter writer, RelayResult result)
    {
        if (result.Outcome == RelayOutcome.Completed)
        {
            run.Turn.FirstChunkCame();
        }

        try
        {
            await run.Turn.CompleteAsync(result, run.Observer);
        }
        catch (StorageUnavailableException exception)
        {
            result = RelayResult.Failed(exception.Error, exception);
        }

        // Whoever else waits for the end does not wait for this client.
        run.End(result);
        if (result.Outcome == RelayOutcome.Completed)
        {
            await writer.SendAsync(run.Body, run.Observer);
        }
        else if ((result.Error ?? StoppedBeforeItBegan(result)) is { } error)
        {
            await writer.FailAsync(error, run.Observer);
        }

        return result;
    }

    // Nothing of the answer had arrived that a client could be given as one.
    private static OpenAIError? StoppedBeforeItBegan(RelayResult result) => result.Outcome == RelayOutcome.StopAsked
        ? new OpenAIError(StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "stopped", "The answer was stopped on request before it began.") { ShouldRetry = false }
        : null;

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The turn of session {SessionId}, message {MessageId}, failed: {Code}")]
        public static partial void Failed(ILogger logger, Exception? exception, string? sessionId, string? messageId, string? code);

        [LoggerMessage(2, LogLevel.Debug, "The client left session {SessionId}, message {MessageId}; the model was stopped and the partial answer kept")]
        public static partial void ClientLeft(ILogger logger, string? sessionId, string? messageId);

        // The model server's words may quote the prompt: they are written only where message content in telemetry is switched on.
        [LoggerMessage(3, LogLevel.Debug, "The model server answered {Status}: {Body}")]
        public static partial void UpstreamRefused(ILogger logger, int status, string body);

        [LoggerMessage(4, LogLevel.Warning, "The answer of session {SessionId}, message {MessageId}, did not end; it was stopped at Vllm:MaxAnswerBytes or Vllm:MaxAnswerTime")]
        public static partial void LimitReached(ILogger logger, string? sessionId, string? messageId);
    }
}
