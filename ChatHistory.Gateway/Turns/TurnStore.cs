using System.Diagnostics;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Paths;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.Upstream;
using ChatHistory.Storage.V1;
using Google.Protobuf;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Turns;

/// <summary>Begins turns in storage.</summary>
internal sealed class TurnStore(
    WriteBatcher writes, SessionsClient sessions, MessagesClient messages, PathCache paths, IOptions<StorageOptions> options, IOptions<VllmOptions> vllm, TimeProvider time, ILogger<Turn> logger)
{
    public WriteBatcher Writes => writes;

    public PathCache Paths => paths;

    public StorageOptions Options => options.Value;

    public TimeProvider Time => time;

    public ILogger Logger => logger;

    /// <summary>Commits session, new messages and the answer's row, in progress. Only then may the model be called.</summary>
    /// <param name="answerMessageId">The id of the answer's row, see <see cref="NewId"/>.</param>
    /// <param name="supersedes">An answer in progress of the same request that no gateway works on any more.</param>
    /// <exception cref="StorageUnavailableException">Nothing was committed, as far as is known.</exception>
    /// <exception cref="OpenAIErrorException">Storage refused, e.g. the session is not there.</exception>
    public async Task<Turn> BeginAsync(Caller caller, TurnRequest request, string answerMessageId, string? supersedes = null)
    {
        var begin = new BeginTurn
        {
            SessionId = request.SessionId ?? (request.ParentMessageId is null ? NewId() : ""),
            NewSession = BeginsSession(request) ? NewSession(caller, request) : null,
            Placement = PlacementOf(request),
            AnswerMessageId = answerMessageId,
            Model = request.Completion.Model ?? vllm.Value.Model ?? "",
            RequestId = request.RequestId,
            TraceId = Activity.Current?.TraceId.ToHexString() ?? "",
            Repeated = request.IsRepeated,
        };
        begin.Input.Add(request.Completion.Messages.Skip(request.UnstoredMessages).Select(message => new NewMessage { MessageId = NewId(), Content = message }));
        // Optional fields of protobuf cannot be set to null: absent is absent.
        if (request.ParentMessageId is { } parent)
        {
            begin.ParentMessageId = parent;
        }

        if (request.Metadata is { } metadata)
        {
            begin.Metadata = metadata;
        }

        if (request.Parameters is { } parameters)
        {
            begin.Request = parameters;
        }

        if (request.IdempotencyKey is { } key)
        {
            begin.Idempotency = new Idempotency { Key = key, RequestHash = ByteString.CopyFrom(request.Hash!) };
        }

        if (supersedes is not null)
        {
            begin.Supersedes = supersedes;
        }

        var known = request is { SessionId: { } session, IsTranscriptOfSession: false } ? paths.Find(caller.Scope, session) : null;
        begin.KnownPath = known?.Version;
        var command = new WriteCommand { Traceparent = Activity.Current?.Id ?? "", Scope = caller.Scope, BeginTurn = begin };
        var result = await writes.WriteAsync(command, Options.BeginPatience);
        return result.ResultCase == WriteResult.ResultOneofCase.TurnBegun
            ? Turn.Begun(this, caller.Scope, result.TurnBegun, TurnPath.Of(begin, result.TurnBegun, known))
            : throw new OpenAIErrorException(Refused.ToError(result.Refusal, begin.SessionId, begin.ParentMessageId));
    }

    /// <summary>A turn with <c>store: false</c>: the session's messages are read when one is named, and nothing is written.</summary>
    public async Task<Turn> WithoutStoringAsync(Caller caller, TurnRequest request, CancellationToken cancellationToken)
    {
        if (request.ParentMessageId is { } parent)
        {
            var path = await messages.GetPathAsync(
                new GetPathRequest { Scope = caller.Scope, SessionId = request.SessionId ?? "", MessageId = parent }, deadline: time.Deadline(), cancellationToken: cancellationToken);
            return Turn.NotStored(this, new Transcript { Messages = { path.Messages.Select(message => message.Content) } });
        }

        if (request.SessionId is not { } sessionId || request.IsTranscriptOfSession)
        {
            return Turn.NotStored(this, null);
        }

        try
        {
            var transcript = await sessions.GetTranscriptAsync(
                new GetTranscriptRequest { Scope = caller.Scope, SessionId = sessionId }, deadline: time.Deadline(), cancellationToken: cancellationToken);
            return Turn.NotStored(this, transcript);
        }
        catch (Grpc.Core.RpcException exception) when (exception.StatusCode == Grpc.Core.StatusCode.NotFound)
        {
            throw new OpenAIErrorException(OpenAIError.SessionNotFound(sessionId));
        }
    }

    public string NewId() => Guid.CreateVersion7(time.GetUtcNow()).ToString();

    private static bool BeginsSession(TurnRequest request) => request.IsTranscriptOfSession || (request.SessionId is null && request.ParentMessageId is null);

    private static Placement PlacementOf(TurnRequest request) => request switch
    {
        { ParentMessageId: not null } => Placement.AfterParent,
        { IsTranscriptOfSession: true } => Placement.TranscriptOfSession,
        { SessionId: null } => Placement.TranscriptOfAnySession,
        _ => Placement.AfterHead,
    };

    private static NewSession NewSession(Caller caller, TurnRequest request)
    {
        var session = new NewSession { UserId = caller.UserNamed(request.UserNamed) };
        if (request.SessionMetadata is { } metadata)
        {
            session.Metadata = metadata;
        }

        return session;
    }
}
