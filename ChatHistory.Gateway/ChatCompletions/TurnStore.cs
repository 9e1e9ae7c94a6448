using System.Diagnostics;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.Telemetry;
using ChatHistory.Gateway.Upstream;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>Begins turns in storage.</summary>
internal sealed class TurnStore(
    WriteBatcher writes, SessionsClient sessions, IOptions<StorageOptions> options, IOptions<VllmOptions> vllm, TimeProvider time, ILogger<Turn> logger)
{
    public WriteBatcher Writes => writes;

    public StorageOptions Options => options.Value;

    public TimeProvider Time => time;

    public ILogger Logger => logger;

    /// <summary>Commits session, new messages and the answer's row, in progress. Only then may the model be called.</summary>
    /// <exception cref="StorageUnavailableException">Nothing was committed, as far as is known.</exception>
    /// <exception cref="OpenAIErrorException">Storage refused, e.g. the session is not there.</exception>
    public async Task<Turn> BeginAsync(HttpContext context, Caller caller, ChatCompletionRequest request)
    {
        var begin = new BeginTurn
        {
            SessionId = request.SessionId ?? NewId(),
            NewSession = request.SessionId is null ? new NewSession { UserId = caller.UserNamed(request.UserNamed) } : null,
            AnswerMessageId = NewId(),
            Model = request.Model ?? vllm.Value.Model ?? "",
            RequestId = RequestIds.Of(context),
            TraceId = Activity.Current?.TraceId.ToHexString() ?? "",
        };
        begin.Input.Add(request.Messages.Select(message => new NewMessage { MessageId = NewId(), Content = message }));

        var command = new WriteCommand { Traceparent = Activity.Current?.Id ?? "", Scope = caller.Scope, BeginTurn = begin };
        var result = await writes.WriteAsync(command, Options.BeginPatience);
        return result.ResultCase == WriteResult.ResultOneofCase.TurnBegun
            ? Turn.Begun(this, caller.Scope, begin.AnswerMessageId, result.TurnBegun)
            : throw new OpenAIErrorException(Refused.ToError(result.Refusal, begin.SessionId));
    }

    /// <summary>A turn with <c>store: false</c>: the session's messages are read when one is named, and nothing is written.</summary>
    public async Task<Turn> WithoutStoringAsync(Caller caller, ChatCompletionRequest request, CancellationToken cancellationToken)
    {
        if (request.SessionId is not { } sessionId)
        {
            return Turn.NotStored(this, []);
        }

        try
        {
            var transcript = await sessions.GetTranscriptAsync(
                new GetTranscriptRequest { Scope = caller.Scope, SessionId = sessionId }, deadline: time.Deadline(), cancellationToken: cancellationToken);
            return Turn.NotStored(this, transcript.Messages);
        }
        catch (Grpc.Core.RpcException exception) when (exception.StatusCode == Grpc.Core.StatusCode.NotFound)
        {
            throw new OpenAIErrorException(OpenAIError.SessionNotFound(sessionId));
        }
    }

    public string NewId() => Guid.CreateVersion7(time.GetUtcNow()).ToString();
}
