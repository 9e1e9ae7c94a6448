using ChatHistory.Gateway.ChatCompletions;
using ChatHistory.Gateway.Context;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Telemetry;
using ChatHistory.Gateway.Turns;
using ChatHistory.Gateway.Upstream;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Responses;

/// <summary>Creates responses: each is a turn that asks the model for a chat completion.</summary>
/// <remarks>
/// <code>
/// previous_response_id   the input follows that answer: the end of its session, or a branch in its midst
/// conversation           the input follows the session's head
/// neither                a session of which the input is the transcript is continued, else one begins
/// </code>
/// </remarks>
internal sealed class ResponseTurns(TurnRunner runner, BackgroundResponses background, StoredResponses stored, PromptBuilder prompts, MediaPolicy media, IOptions<VllmOptions> options, TimeProvider time)
{
    public async Task CreateAsync(HttpContext context)
    {
        var caller = Caller.From(context.User);
        using var request = await ResponseRequest.ReadAsync(context.Request, context.RequestAborted);
        var turn = await ReadTurnAsync(context, request, caller);
        try
        {
            if (request is { Background: true, Stream: false })
            {
                await BeginAsync(context, request, turn, caller);
                return;
            }

            using (turn)
            {
                IAnswerWriter writer = request.Stream ? new ResponseStreamWriter(context, begun => HeadOf(request, begun)) : new ResponseWriter(context, begun => HeadOf(request, begun));
                await runner.RunAsync(turn, caller, writer, context.RequestAborted);
            }
        }
        catch (OpenAIErrorException exception) when (exception.Error.Code == "session_not_found" && request.ConversationId is not null)
        {
            throw new OpenAIErrorException(OpenAIError.ConversationNotFound(request.ConversationId));
        }
    }

    /// <summary>A response that is made without its client: it is told the id, and asks again later.</summary>
    private async Task BeginAsync(HttpContext context, ResponseRequest request, TurnRequest turn, Caller caller)
    {
        var begun = await background.BeginAsync(turn, caller);
        TurnHeaders.Write(context.Response, begun);
        await context.SendAsync(begun.IsFound
            ? ResponseObject.Of(await stored.GetAsync(caller.Scope, ItemIds.Response(begun.AnswerMessageId!), context.RequestAborted))
            : ResponseObject.Of(HeadOf(request, begun), ResponseState.Running, []));
    }

    /// <summary>The prompt that a request would ask the model with, as the body of a chat completion; nothing is stored.</summary>
    public async Task<ReadOnlyMemory<byte>> ComposeAsync(HttpContext context)
    {
        var scope = Caller.From(context.User).Scope;
        using var request = await ResponseRequest.ReadAsync(context.Request, context.RequestAborted);
        var history = request switch
        {
            { PreviousResponseId: { } previous } => await stored.ReadPathAsync(scope, await stored.GetPreviousAsync(scope, previous, context.RequestAborted), context.RequestAborted),
            { ConversationId: { } conversation } => await stored.ReadConversationAsync(scope, conversation, context.RequestAborted),
            _ => [],
        };
        using var completion = await ReadCompletionAsync(context, request, scope, stream: false);
        var before = new StoredHistory([.. history.Select(message => message.Content)], Omitted: 0, KnownTokens: null);
        return (await prompts.BuildAsync(completion, before, cacheSalt: null, context.RequestAborted)).Body;
    }

    private async Task<ChatCompletionRequest> ReadCompletionAsync(HttpContext context, ResponseRequest request, Scope scope, bool stream)
    {
        media.Check(request.Root);
        var known = request.References is { Count: > 0 } references ? await stored.FindItemsAsync(scope, references, context.RequestAborted) : null;
        var completion = ChatCompletionRequest.From(JsonBody.Of(ChatBody.Compose(request, request.ReadInput(known), stream)));
        try
        {
            // Again, for the stored items that the input names by their ids.
            media.Check(completion.Root);
            return completion;
        }
        catch
        {
            completion.Dispose();
            throw;
        }
    }

    private async Task<TurnRequest> ReadTurnAsync(HttpContext context, ResponseRequest request, Caller caller)
    {
        var parent = request.PreviousResponseId is { } previous ? await stored.GetPreviousAsync(caller.Scope, previous, context.RequestAborted) : null;
        var session = request.ConversationId is { } conversation
            ? ItemIds.SessionOf(conversation) ?? throw new OpenAIErrorException(OpenAIError.ConversationNotFound(conversation))
            : null;
        var headers = context.Request.Headers;
        var ui = UiHeaders.From(context.Request, caller);
        var uiSession = session is null && parent is null ? ui.SessionId : null;
        var retry = SdkRetry.From(headers);
        var key = ChatTurn.ReadIdempotencyKey(headers);
        return new TurnRequest
        {
            // A background response is streamed to nobody, so that it can be followed.
            Completion = await ReadCompletionAsync(context, request, caller.Scope, stream: request.Stream || request.Background),
            UnstoredMessages = ChatBody.UnstoredMessages(request),
            RequestId = RequestIds.Of(context),
            UserNamed = request.UserNamed,
            Store = request.Store && !ui.IsTask,
            SessionId = session ?? uiSession,
            IsTranscriptOfSession = uiSession is not null,
            SessionMetadata = uiSession is null ? null : ui.Metadata,
            ParentMessageId = parent?.MessageId,
            Metadata = request.Metadata,
            Parameters = ItemJson.Text(request.Echo),
            IdempotencyKey = key,
            Hash = key is not null || retry.IsSdk ? ChatTurn.HashOf("responses", request.Bytes.Span) : null,
            IsRepeated = retry.Count > 0,
            IsFirst = retry.Count == 0,
            ContinueWithoutClient = request.Background,
            DisconnectGrace = retry.Grace,
        };
    }

    private ResponseHead HeadOf(ResponseRequest request, Turn turn)
    {
        var now = time.GetUtcNow();
        var id = turn.AnswerMessageId ?? Guid.CreateVersion7(now).ToString();
        return new ResponseHead(id, ResponseHead.Created(id, now), request.Model ?? options.Value.Model ?? "", request.Echo, request.Metadata);
    }
}
