using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Turns;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.EntityFrameworkCore;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Sessions;

internal sealed class SessionsService(
    DatabaseWriter writer, WalCheckpointer checkpointer, DatabaseFile file, IDbContextFactory<ChatHistoryDbContext> contexts) : V1.Sessions.SessionsBase
{
    private const int DefaultLimit = 50;

    private const int MessagesPerRead = 200;

    private const string SelectUser = "SELECT 1 FROM users WHERE user_id = ?1";

    public override async Task<V1.Session> Create(V1.CreateSessionRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        RequireId(request.SessionId, "session_id");
        RequireId(request.Session?.UserId, "session.user_id");
        if (!scope.Allows(request.Session!.UserId))
        {
            throw StorageStatus.Invalid("session.user_id", "must be a user in the scope");
        }

        var command = new CreateSessionCommand(request.SessionId, request.Session, scope);
        await writer.RunAsync(command, context.CancellationToken);
        RefuseWhen(command.IsOverQuota);
        return command.Session?.ToContract() ?? throw StorageStatus.NotFound("session");
    }

    public override Task<V1.Session> Get(V1.GetSessionRequest request, ServerCallContext context) =>
        Task.FromResult(Find(request.SessionId, UserScope.Parse(request.Scope)));

    public override Task<V1.ListSessionsReply> List(V1.ListSessionsRequest request, ServerCallContext context)
    {
        var (sessions, total, next) = ReadPage(request.Scope, request.UserId, request.After, request.Offset, request.Limit);
        return Task.FromResult(new V1.ListSessionsReply { Sessions = { sessions.Select(session => session.ToContract()) }, Total = total, Next = next });
    }

    public override async Task<V1.ListCreatedReply> ListCreated(V1.ListCreatedRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        var limit = RequestLimits.Of(request.Limit, DefaultLimit);
        if (request.UserId.Length > 0 && !scope.Allows(request.UserId))
        {
            return new V1.ListCreatedReply();
        }

        await using var database = await contexts.CreateDbContextAsync(context.CancellationToken);
        // What ends at a place is read backwards from there, and turned round.
        var backwards = request.Before.Length > 0;
        var anchorId = backwards ? request.Before : request.After;
        var anchor = anchorId is "" ? null
            : file.Read(reader => Session.Find(reader, anchorId, scope))
                ?? throw StorageStatus.Invalid(backwards ? "before" : "after", "is not the id of a session of this list");
        var sessions = await database.ListSessionsByCreationAsync(
            request.UserId.Length > 0 ? request.UserId : scope.Owner, anchor, request.Descending != backwards, limit + 1, context.CancellationToken);
        var hasMore = sessions.Count > limit;
        sessions = hasMore ? sessions[..limit] : sessions;
        if (backwards)
        {
            sessions.Reverse();
        }

        return new V1.ListCreatedReply { Sessions = { sessions.Select(session => session.ToContract()) }, HasMore = hasMore };
    }

    public override async Task<V1.Session> Update(V1.UpdateSessionRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        var command = new UpdateSessionCommand(request, scope);
        await writer.RunAsync(command, context.CancellationToken);
        RefuseWhen(command.IsOverQuota);
        if (command.HeadFault is { } fault)
        {
            throw StorageStatus.Invalid("head_message_id", fault);
        }

        return command.Session?.ToContract() ?? throw StorageStatus.NotFound("session");
    }

    public override async Task<V1.Session> Fork(V1.ForkSessionRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        RequireId(request.NewSessionId, "new_session_id");
        var command = new ForkSessionCommand(request, scope);
        await writer.RunAsync(command, context.CancellationToken);
        RefuseWhen(command.IsOverQuota);
        if (command.Fault is { } fault)
        {
            throw StorageStatus.Invalid("message_id", fault);
        }

        return command.Fork?.ToContract() ?? throw StorageStatus.NotFound("session");
    }

    private static void RefuseWhen(bool isOverQuota)
    {
        if (isOverQuota)
        {
            throw StorageStatus.QuotaExceeded();
        }
    }

    public override async Task<Empty> Delete(V1.DeleteSessionRequest request, ServerCallContext context)
    {
        var command = new DeleteSessionCommand(request.SessionId, UserScope.Parse(request.Scope));
        await writer.RunAsync(command, context.CancellationToken);
        if (!command.Found)
        {
            throw StorageStatus.NotFound("session");
        }

        checkpointer.Deleted();
        return new Empty();
    }

    public override Task<V1.ListMessagesReply> ListMessages(V1.ListMessagesRequest request, ServerCallContext context)
    {
        var page = new MessagePage(
            RequestLimits.Of(request.Limit, DefaultLimit), RequestLimits.Offset(request.Offset), request.HasAfterSeq ? request.AfterSeq : null, request.Descending);
        var scope = UserScope.Parse(request.Scope);
        var (session, (messages, hasMore)) = file.ReadInSnapshot(reader => SessionView.Find(reader, request.SessionId, scope) is { } view
            ? (view.Session, MessagePages.ReadMessages(reader, view, page, context.CancellationToken))
            : default);
        return session is null ? throw StorageStatus.NotFound("session") : Task.FromResult(new V1.ListMessagesReply
        {
            Session = session.ToContract(),
            Messages = { messages.Select(message => message.ToContract()) },
            Total = session.MessageCount,
            HasMore = hasMore,
        });
    }

    public override Task<V1.Transcript> GetTranscript(V1.GetTranscriptRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        var found = file.ReadInSnapshot(reader =>
        {
            if (Session.Find(reader, request.SessionId, scope) is not { } session)
            {
                return null;
            }

            var (omitted, tokens) = StoredMessage.FindContext(reader, session.HeadMessageId);
            var transcript = new V1.Transcript { Messages = { StoredPath.Read(reader, session.SessionId, session.HeadMessageId) }, Omitted = omitted };
            if (tokens is { } known)
            {
                transcript.KnownTokens = known;
            }

            return transcript;
        });
        return Task.FromResult(found ?? throw StorageStatus.NotFound("session"));
    }

    /// <remarks>
    /// Reads a few messages at a time, each time in a transaction of its own: a client that reads slowly must neither fill our memory nor
    /// hold an old snapshot open, which would keep the write-ahead log from being emptied.
    /// </remarks>
    public override async Task ReadHistory(V1.ReadHistoryRequest request, IServerStreamWriter<V1.HistoryItem> responseStream, ServerCallContext context)
    {
        var cancellationToken = context.CancellationToken;
        var (sessions, total, next) = ReadPage(request.Scope, request.UserId, request.After, request.Offset, request.Limit);
        if (total == 0)
        {
            RequireUser(request);
        }

        await responseStream.WriteAsync(new V1.HistoryItem { Page = new V1.HistoryPage { Total = total, Next = next } }, cancellationToken);
        foreach (var session in sessions)
        {
            await responseStream.WriteAsync(new V1.HistoryItem { Session = session.ToContract() }, cancellationToken);
            List<Message> messages;
            bool hasMore;
            var afterSeq = 0L;
            do
            {
                var part = new MessagePage(MessagesPerRead, Offset: 0, afterSeq, Descending: false);
                (messages, hasMore) = file.ReadInSnapshot(reader => MessagePages.ReadMessages(reader, SessionView.Of(reader, session), part, cancellationToken));
                foreach (var message in messages)
                {
                    await responseStream.WriteAsync(new V1.HistoryItem { Message = message.ToContract() }, cancellationToken);
                    afterSeq = message.Seq!.Value;
                }
            }
            while (hasMore);
        }
    }

    // Without a session, a user may still be known (by an API key): that history is empty. Nobody's history is not found.
    private void RequireUser(V1.ReadHistoryRequest request)
    {
        if (!UserScope.Parse(request.Scope).Allows(request.UserId) || file.Read(reader => reader.Number(SelectUser, request.UserId)) is null)
        {
            throw StorageStatus.NotFound("user");
        }
    }

    private (List<Session> Sessions, long Total, string Next) ReadPage(V1.Scope requestScope, string userId, string after, int offset, int requestLimit)
    {
        var scope = UserScope.Parse(requestScope);
        var cursor = SessionCursor.Parse(after);
        var limit = RequestLimits.Of(requestLimit, DefaultLimit);
        RequestLimits.Offset(offset);
        if (userId.Length > 0 && !scope.Allows(userId))
        {
            // Somebody else's list and an unknown user's are the same: empty.
            return ([], 0, "");
        }

        var listed = userId.Length > 0 ? userId : scope.Owner;
        var (sessions, total) = file.ReadInSnapshot(reader => (SessionPages.Read(reader, listed, cursor, offset, limit + 1), SessionPages.Count(reader, listed)));
        if (sessions.Count <= limit)
        {
            return (sessions, total, "");
        }

        sessions.RemoveAt(limit);
        return (sessions, total, new SessionCursor(sessions[^1].UpdatedAt ?? "", sessions[^1].SessionId).ToString());
    }

    private V1.Session Find(string sessionId, UserScope scope) =>
        file.Read(reader => Session.Find(reader, sessionId, scope))?.ToContract() ?? throw StorageStatus.NotFound("session");

    private static void RequireId(string? id, string field)
    {
        if (string.IsNullOrEmpty(id))
        {
            throw StorageStatus.Invalid(field, "must not be empty");
        }
    }
}
