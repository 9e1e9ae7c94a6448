using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Sessions;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.EntityFrameworkCore;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Messages;

/// <summary>Single messages, and paths through a session's tree.</summary>
internal sealed class MessagesService(
    DatabaseWriter writer, WalCheckpointer checkpointer, IDbContextFactory<ChatHistoryDbContext> contexts) : V1.Messages.MessagesBase
{
    private const int DefaultCompletions = 20;
    private const int MaxCompletions = 100;

    public override async Task<V1.Message> Get(V1.GetMessageRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        await using var snapshot = await ReadSnapshot.BeginAsync(contexts, context.CancellationToken);
        var database = snapshot.Database;
        var view = request.SessionId is "" ? null : FindView(snapshot, request.SessionId, scope);
        var message = request.IdCase switch
        {
            V1.GetMessageRequest.IdOneofCase.MessageId => await database.FindMessageAsync(request.MessageId, scope, context.CancellationToken),
            V1.GetMessageRequest.IdOneofCase.CompletionId => await database.FindCompletionAsync(request.CompletionId, scope, context.CancellationToken),
            _ => throw StorageStatus.Invalid("id", "is missing"),
        };
        return message is not null && view?.Shows(message) != false ? message.ToContract() : throw StorageStatus.NotFound("message");
    }

    public override async Task<V1.MessagePath> GetPath(V1.GetPathRequest request, ServerCallContext context)
    {
        var cancellationToken = context.CancellationToken;
        var page = new MessagePage(
            RequestLimits.Of(request.Limit, byDefault: 0), RequestLimits.Offset(request.Offset), request.HasAfterSeq ? request.AfterSeq : null, request.Descending);
        await using var snapshot = await ReadSnapshot.BeginAsync(contexts, cancellationToken);
        var database = snapshot.Database;
        var (view, last) = await FindPlaceAsync(snapshot, request.Scope, request.SessionId, request.MessageId, cancellationToken);
        var (places, (messages, hasMore)) = snapshot.Read(reader =>
        {
            var path = StoredPath.ReadPlaces(reader, view.Session.SessionId, last?.MessageId ?? view.Session.HeadMessageId);
            return (path, MessagePages.ReadPath(reader, path, page, cancellationToken));
        });
        return new V1.MessagePath
        {
            Session = view.Session.ToContract(),
            Messages = { await ToContractAsync(database, view, messages, cancellationToken) },
            Total = places.Count,
            HasMore = hasMore,
        };
    }

    public override async Task<V1.ListChildrenReply> ListChildren(V1.ListChildrenRequest request, ServerCallContext context)
    {
        await using var snapshot = await ReadSnapshot.BeginAsync(contexts, context.CancellationToken);
        var database = snapshot.Database;
        var (view, parent) = await FindPlaceAsync(snapshot, request.Scope, request.SessionId, request.MessageId, context.CancellationToken);
        var children = await database.ListChildrenAsync(view, parent?.MessageId, context.CancellationToken);
        return new V1.ListChildrenReply { Messages = { await ToContractAsync(database, view, children, context.CancellationToken) } };
    }

    public override async Task<Empty> Delete(V1.DeleteMessageRequest request, ServerCallContext context)
    {
        var command = new DeleteMessageCommand(request, UserScope.Parse(request.Scope));
        await writer.RunAsync(command, context.CancellationToken);
        if (command.Missing is { } missing)
        {
            throw StorageStatus.NotFound(missing);
        }

        if (command.Fault is { } fault)
        {
            throw StorageStatus.Invalid("message_id", fault);
        }

        checkpointer.Deleted();
        return new Empty();
    }

    public override async Task<V1.Message> UpdateMetadata(V1.UpdateMessageMetadataRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        var command = new UpdateMessageMetadataCommand(request, scope);
        await writer.RunAsync(command, context.CancellationToken);
        if (command.IsOverQuota)
        {
            throw StorageStatus.QuotaExceeded();
        }

        if (!command.Found)
        {
            throw StorageStatus.NotFound("message");
        }

        await using var database = await contexts.CreateDbContextAsync(context.CancellationToken);
        return (await FindAsync(database, request.MessageId, scope, context.CancellationToken)).ToContract();
    }

    public override async Task<V1.ListCompletionsReply> ListCompletions(V1.ListCompletionsRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        var limit = Math.Min(RequestLimits.Of(request.Limit, DefaultCompletions), MaxCompletions);
        if (request.UserId.Length > 0 && !scope.Allows(request.UserId))
        {
            // Somebody else's list and an unknown user's are the same: empty.
            return new V1.ListCompletionsReply();
        }

        await using var snapshot = await ReadSnapshot.BeginAsync(contexts, context.CancellationToken);
        var database = snapshot.Database;
        var messages = await database.ListCompletionsAsync(
            scope, NullIfEmpty(request.UserId), NullIfEmpty(request.Model), request.Metadata, request.After, request.Descending, limit + 1, context.CancellationToken);
        var hasMore = messages.Count > limit;
        messages = hasMore ? messages[..limit] : messages;
        var alternatives = await database.ListAlternativesAsync(messages, context.CancellationToken);
        return new V1.ListCompletionsReply
        {
            Messages = { messages.Select(message => message.ToContract()) },
            Alternatives = { alternatives.Select(message => message.ToContract()) },
            HasMore = hasMore,
        };
    }

    public override async Task<V1.ListChildrenReply> ListChoices(V1.ListChoicesRequest request, ServerCallContext context)
    {
        // One state of the database for both: a completion that is deleted in between would be there, and have no choices.
        await using var snapshot = await ReadSnapshot.BeginAsync(contexts, context.CancellationToken);
        var first = await FindAsync(snapshot.Database, request.MessageId, UserScope.Parse(request.Scope), context.CancellationToken);
        var choices = await snapshot.Database.ListChoicesAsync(first, context.CancellationToken);
        return new V1.ListChildrenReply { Messages = { choices.Select(choice => choice.ToContract()) } };
    }

    /// <summary>The session, and the message in it. Either may be left out: the message (null then), or the session (the message's own then).</summary>
    private static async Task<(SessionView View, Message? Message)> FindPlaceAsync(
        ReadSnapshot snapshot, V1.Scope requestScope, string sessionId, string messageId, CancellationToken cancellationToken)
    {
        var scope = UserScope.Parse(requestScope);
        if (sessionId is "" && messageId is "")
        {
            throw StorageStatus.Invalid("session_id", "must not be empty, unless message_id is given");
        }

        var view = sessionId is "" ? null : FindView(snapshot, sessionId, scope);
        if (messageId is "")
        {
            return (view!, null);
        }

        var message = await FindAsync(snapshot.Database, messageId, scope, cancellationToken);
        view ??= FindView(snapshot, message.SessionId, scope);
        return view.Shows(message) ? (view, message) : throw StorageStatus.NotFound("message");
    }

    private static SessionView FindView(ReadSnapshot snapshot, string sessionId, UserScope scope) =>
        snapshot.Read(reader => SessionView.Find(reader, sessionId, scope)) ?? throw StorageStatus.NotFound("session");

    private static async Task<Message> FindAsync(ChatHistoryDbContext database, string messageId, UserScope scope, CancellationToken cancellationToken) =>
        await database.FindMessageAsync(messageId, scope, cancellationToken) ?? throw StorageStatus.NotFound("message");

    private static async Task<IEnumerable<V1.Message>> ToContractAsync(
        ChatHistoryDbContext database, SessionView view, List<Message> messages, CancellationToken cancellationToken)
    {
        var children = await database.CountChildrenAsync(view, messages, cancellationToken);
        return messages.Select(message =>
        {
            var contract = message.ToContract();
            contract.Children = children(message);
            return contract;
        });
    }

    private static string? NullIfEmpty(string text) => text is "" ? null : text;
}
