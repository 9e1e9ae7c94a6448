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
    DatabaseWriter writer, WalCheckpointer checkpointer, DatabaseFile file, IDbContextFactory<ChatHistoryDbContext> contexts) : V1.Messages.MessagesBase
{
    private const int DefaultCompletions = 20;
    private const int MaxCompletions = 100;

    public override Task<V1.Message> Get(V1.GetMessageRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        var (view, message) = file.ReadInSnapshot(reader => (
            request.SessionId is "" ? null : FindView(reader, request.SessionId, scope),
            request.IdCase switch
            {
                V1.GetMessageRequest.IdOneofCase.MessageId => Message.Find(reader, request.MessageId, scope),
                V1.GetMessageRequest.IdOneofCase.CompletionId => Choices.FindFirst(reader, request.CompletionId, scope),
                _ => throw StorageStatus.Invalid("id", "is missing"),
            }));
        return message is not null && view?.Shows(message) != false ? Task.FromResult(message.ToContract()) : throw StorageStatus.NotFound("message");
    }

    public override Task<V1.MessagePath> GetPath(V1.GetPathRequest request, ServerCallContext context)
    {
        var page = new MessagePage(
            RequestLimits.Of(request.Limit, byDefault: 0), RequestLimits.Offset(request.Offset), request.HasAfterSeq ? request.AfterSeq : null, request.Descending);
        return Task.FromResult(file.ReadInSnapshot(reader =>
        {
            var (view, last) = FindPlace(reader, request.Scope, request.SessionId, request.MessageId);
            var path = StoredPath.ReadPlaces(reader, view.Session.SessionId, last?.MessageId ?? view.Session.HeadMessageId);
            var (messages, hasMore) = MessagePages.ReadPath(reader, path, page, context.CancellationToken);
            return new V1.MessagePath
            {
                Session = view.Session.ToContract(),
                Messages = { ToContract(reader, view, messages, context.CancellationToken) },
                Total = path.Count,
                HasMore = hasMore,
            };
        }));
    }

    public override Task<V1.ListChildrenReply> ListChildren(V1.ListChildrenRequest request, ServerCallContext context) =>
        Task.FromResult(file.ReadInSnapshot(reader =>
        {
            var (view, parent) = FindPlace(reader, request.Scope, request.SessionId, request.MessageId);
            var children = Children.Read(reader, view, parent?.MessageId, context.CancellationToken);
            return new V1.ListChildrenReply { Messages = { ToContract(reader, view, children, context.CancellationToken) } };
        }));

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

        return command.Message?.ToContract() ?? throw StorageStatus.NotFound("message");
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

        await using var database = await contexts.CreateDbContextAsync(context.CancellationToken);
        // One state of the database for both lists. On a read-only connection it only reads, and it ends with the context.
        await database.Database.BeginTransactionAsync(context.CancellationToken);
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

    public override Task<V1.ListChildrenReply> ListChoices(V1.ListChoicesRequest request, ServerCallContext context)
    {
        // One state of the database for both: a completion that is deleted in between would be there, and have no choices.
        var choices = file.ReadInSnapshot(reader =>
            Choices.Read(reader, Find(reader, request.MessageId, UserScope.Parse(request.Scope)), context.CancellationToken));
        return Task.FromResult(new V1.ListChildrenReply { Messages = { choices.Select(choice => choice.ToContract()) } });
    }

    /// <summary>The session, and the message in it. Either may be left out: the message (null then), or the session (the message's own then).</summary>
    private static (SessionView View, Message? Message) FindPlace(PreparedConnection database, V1.Scope requestScope, string sessionId, string messageId)
    {
        var scope = UserScope.Parse(requestScope);
        if (sessionId is "" && messageId is "")
        {
            throw StorageStatus.Invalid("session_id", "must not be empty, unless message_id is given");
        }

        var view = sessionId is "" ? null : FindView(database, sessionId, scope);
        if (messageId is "")
        {
            return (view!, null);
        }

        var message = Find(database, messageId, scope);
        view ??= FindView(database, message.SessionId, scope);
        return view.Shows(message) ? (view, message) : throw StorageStatus.NotFound("message");
    }

    private static SessionView FindView(PreparedConnection database, string sessionId, UserScope scope) =>
        SessionView.Find(database, sessionId, scope) ?? throw StorageStatus.NotFound("session");

    private static Message Find(PreparedConnection database, string messageId, UserScope scope) =>
        Message.Find(database, messageId, scope) ?? throw StorageStatus.NotFound("message");

    private static IEnumerable<V1.Message> ToContract(PreparedConnection database, SessionView view, List<Message> messages, CancellationToken cancellationToken) =>
        messages.Zip(Children.Count(database, view, messages, cancellationToken), (message, children) =>
        {
            var contract = message.ToContract();
            contract.Children = children;
            return contract;
        });

    private static string? NullIfEmpty(string text) => text is "" ? null : text;
}
