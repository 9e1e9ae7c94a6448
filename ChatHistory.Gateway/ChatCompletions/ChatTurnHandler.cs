using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.Telemetry;
using ChatHistory.Gateway.Upstream;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>Carries out one chat completion as a turn: nothing asked may vanish, and nothing that the client was told is finished may be lost.</summary>
/// <remarks>
/// <list type="number">
/// <item>Wait for the session's turn, when the request continues a session by its id.</item>
/// <item>Begin: one commit stores session, new messages and the answer's row. Only then is the model called.</item>
/// <item>Call the model with the stored history before the new messages.</item>
/// <item>Relay the answer in the mode that was asked for (<see cref="StreamRelay"/>, <see cref="WholeRelay"/>), which ends with the second commit.</item>
/// <item>Record what it took.</item>
/// </list>
/// </remarks>
internal sealed partial class ChatTurnHandler(
    SessionQueue queue,
    TurnStore turns,
    VllmClient vllm,
    StreamRelay streamRelay,
    WholeRelay wholeRelay,
    ShutdownGrace shutdown,
    ChatTelemetry telemetry,
    IOptions<VllmOptions> options,
    ILogger<ChatTurnHandler> logger)
{
    public async Task HandleAsync(HttpContext context)
    {
        var clientLeft = context.RequestAborted;
        using var request = await ChatCompletionRequest.ReadAsync(context.Request, clientLeft);
        var caller = Caller.From(context.User);

        // Step 1: the session's turn.
        using var place = await queue.EnterAsync(request.Store ? request.SessionId : null, clientLeft);

        // Step 2: begin.
        await using var turn = request.Store ? await turns.BeginAsync(context, caller, request) : await turns.WithoutStoringAsync(caller, request, clientLeft);
        TurnHeaders.Write(context.Response, turn);

        // Step 3: call the model.
        var observer = new CompletionObserver(request.Choices);
        using var chat = telemetry.Start(request, turn, options.Value);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(shutdown.Token, request.ContinueWithoutClient ? CancellationToken.None : clientLeft);
        RelayResult result;
        try
        {
            var body = UpstreamBody.Compose(request, turn.History, options.Value.Model);
            var answer = await vllm.PostAsync("v1/chat/completions", body, RequestIds.Of(context), stop.Token);

            // Step 4: relay.
            using (answer.Response)
            {
                result = await RelayAsync(context, request, turn, observer, answer, stop.Token);
            }
        }
        catch (Exception exception)
        {
            // Ours to mend, but the history must not say "in progress" until the lease runs out.
            await turn.CompleteAsync(RelayResult.Failed(OpenAIError.Internal(RequestIds.Of(context)), exception), observer);
            throw;
        }

        // Step 5: record.
        chat.End(result, observer, turn);
        if (result.Outcome is RelayOutcome.UpstreamFailed or RelayOutcome.UpstreamIdle)
        {
            Log.Failed(logger, result.Exception, turn.SessionId, turn.AnswerMessageId, result.Error?.Code);
        }
        else if (result.Outcome == RelayOutcome.ClientLeft)
        {
            Log.ClientLeft(logger, turn.SessionId, turn.AnswerMessageId);
        }
    }

    private async Task<RelayResult> RelayAsync(
        HttpContext context, ChatCompletionRequest request, Turn turn, CompletionObserver observer, UpstreamAnswer answer, CancellationToken stop)
    {
        switch (answer)
        {
            case { Response: { IsSuccessStatusCode: true } response } when request.Stream && response.Content.Headers.ContentType?.MediaType == "text/event-stream":
                return await streamRelay.RelayAsync(response, context, request, turn, observer, shutdown.Token);

            case { Response: { IsSuccessStatusCode: true } response }:
                var (result, body) = await wholeRelay.ReadAsync(response, observer, stop, shutdown.Token);
                if (result.Outcome == RelayOutcome.Completed && request.Stream)
                {
                    // A whole answer where a stream was asked for: no client that asked for events could read it.
                    result = RelayResult.Failed(UpstreamErrors.NotACompletion());
                }

                return await EndAsync(context, turn, observer, result, body);

            case { Response: { } response }:
                var (error, text) = await UpstreamErrors.ReadAsync(response, stop);
                Log.UpstreamRefused(logger, (int)response.StatusCode, text);
                return await EndAsync(context, turn, observer, RelayResult.Failed(error), default);

            case { Error: { } failure }:
                return await EndAsync(context, turn, observer, RelayResult.Failed(failure, answer.Exception), default);

            default:
                var stopped = shutdown.Token.IsCancellationRequested ? RelayResult.ShuttingDown : RelayResult.ClientLeft;
                return await EndAsync(context, turn, observer, stopped, default);
        }
    }

    /// <summary>Commits the end of a turn of which the client has seen nothing yet, then answers.</summary>
    private static async Task<RelayResult> EndAsync(HttpContext context, Turn turn, CompletionObserver observer, RelayResult result, ReadOnlyMemory<byte> body)
    {
        if (result.Outcome == RelayOutcome.Completed)
        {
            turn.ChunkRelayed(observer);
        }

        try
        {
            await turn.CompleteAsync(result, observer);
        }
        catch (StorageUnavailableException exception)
        {
            result = RelayResult.Failed(OpenAIError.StorageUnavailable(), exception);
        }

        if (result.Outcome == RelayOutcome.Completed)
        {
            await WholeRelay.SendAsync(context.Response, body, turn.SessionId);
        }
        else if (result.Error is { } error && !context.RequestAborted.IsCancellationRequested)
        {
            await OpenAIErrors.WriteAsync(context, error);
        }

        return result;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The turn of session {SessionId}, message {MessageId}, failed: {Code}")]
        public static partial void Failed(ILogger logger, Exception? exception, string? sessionId, string? messageId, string? code);

        [LoggerMessage(2, LogLevel.Debug, "The client left session {SessionId}, message {MessageId}; the model was stopped and the partial answer kept")]
        public static partial void ClientLeft(ILogger logger, string? sessionId, string? messageId);

        // At Debug only: the model server's words may quote the prompt.
        [LoggerMessage(3, LogLevel.Debug, "The model server answered {Status}: {Body}")]
        public static partial void UpstreamRefused(ILogger logger, int status, string body);
    }
}
