using System.Diagnostics;
using System.Globalization;
using System.Security.Claims;
using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Messages;

/// <summary>A session's messages: read them and the branches that they form, delete one, or save one without asking a model.</summary>
internal static class MessagesEndpoints
{
    /// <summary>As <c>?branch=</c>: the path that the session continues from.</summary>
    private const string HeadBranch = "head";

    public static IEndpointRouteBuilder MapMessages(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/sessions/{session_id}/messages").WithTags("Messages");
        group.MapGet("", ListAsync).WithName("ListMessages")
            .WithSummary("Read a session's messages, oldest first: all of them, or one branch.")
            .WithDescription("With branch=head, or branch= and a message's id: the path from the first message to that one, as a model would be shown it.")
            .Produces<MessageList>();
        group.MapGet("{message_id}", GetAsync).WithName("GetMessage").WithSummary("Read one message.")
            .Produces<MessageResource>();
        group.MapGet("{message_id}/children", ListChildrenAsync).WithName("ListChildren")
            .WithSummary("Read the messages that follow one message directly: the branches that begin there.")
            .Produces<MessageChildren>();
        group.MapDelete("{message_id}", DeleteAsync).WithName("DeleteMessage")
            .WithSummary("Delete one message. What followed it then follows the message before it.")
            .Produces(StatusCodes.Status204NoContent);
        group.MapPost("", AppendAsync).WithName("AppendMessage").WithSummary("Save a message without asking a model.")
            .Accepts<AppendMessageBody>("application/json").Produces<MessageResource>(StatusCodes.Status201Created);
        return routes;
    }

    private static Task<IResult> ListAsync(
        string session_id, HttpRequest request, ClaimsPrincipal user, SessionsClient sessions, MessagesClient messages, TimeProvider time,
        CancellationToken cancellationToken,
        string? limit = null, string? offset = null, string? after = null, string? order = null, string? branch = null)
    {
        var page = Page.Read(request);
        var query = new ListMessagesRequest
        {
            Scope = Caller.From(user).Scope, SessionId = session_id, Limit = page.Limit, Offset = page.Offset, Descending = ListOrder.IsDescending(request),
        };
        if (page.After.Length > 0)
        {
            query.AfterSeq = long.TryParse(page.After, NumberStyles.None, CultureInfo.InvariantCulture, out var seq)
                ? seq
                : throw new OpenAIErrorException(OpenAIError.InvalidRequest($"after is '{page.After}'; it must be the seq of a message of this session.", "after"));
        }

        return string.IsNullOrEmpty(branch) ? ListAllAsync(query, sessions, time, cancellationToken) : ListBranchAsync(query, branch, messages, time, cancellationToken);
    }

    private static async Task<IResult> ListAllAsync(ListMessagesRequest query, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var reply = await sessions.ListMessagesAsync(query, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Listed(reply.Messages, reply.Total, reply.Session, query, reply.HasMore);
    }

    private static async Task<IResult> ListBranchAsync(
        ListMessagesRequest query, string branch, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var path = new GetPathRequest
        {
            Scope = query.Scope, SessionId = query.SessionId, MessageId = branch == HeadBranch ? "" : branch,
            Limit = query.Limit, Offset = query.Offset, Descending = query.Descending,
        };
        if (query.HasAfterSeq)
        {
            path.AfterSeq = query.AfterSeq;
        }

        var reply = await messages.GetPathAsync(path, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Listed(reply.Messages, reply.Total, reply.Session, query, reply.HasMore);
    }

    private static IResult Listed(IEnumerable<Message> messages, long total, Session session, ListMessagesRequest query, bool hasMore) => Results.Json(
        new MessageList([.. messages.Select(MessageResource.From)], total, SessionResource.From(session), query.Limit, query.Offset, hasMore),
        MessagesJsonContext.Wire.MessageList);

    private static async Task<IResult> GetAsync(
        string session_id, string message_id, ClaimsPrincipal user, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new GetMessageRequest { Scope = Caller.From(user).Scope, SessionId = session_id, MessageId = message_id };
        var message = await messages.GetAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(MessageResource.From(message), MessagesJsonContext.Wire.MessageResource);
    }

    private static async Task<IResult> ListChildrenAsync(
        string session_id, string message_id, ClaimsPrincipal user, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new ListChildrenRequest { Scope = Caller.From(user).Scope, SessionId = session_id, MessageId = message_id };
        var reply = await messages.ListChildrenAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(new MessageChildren([.. reply.Messages.Select(MessageResource.From)]), MessagesJsonContext.Wire.MessageChildren);
    }

    private static async Task<IResult> DeleteAsync(
        string session_id, string message_id, ClaimsPrincipal user, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new DeleteMessageRequest { Scope = Caller.From(user).Scope, SessionId = session_id, MessageId = message_id };
        await messages.DeleteAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.NoContent();
    }

    private static async Task<IResult> AppendAsync(
        string session_id, HttpRequest request, ClaimsPrincipal user, WriteBatcher storage, IOptions<StorageOptions> options, MediaPolicy media, TimeProvider time,
        CancellationToken cancellationToken)
    {
        using var body = await JsonBody.ReadAsync(request, cancellationToken);
        media.Check(body.Root);
        var content = WireMessage.Parse(body.Root, "", defaultRole: null, "model", "tokens");
        if (!body.Root.TryGetProperty("content", out _))
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("content is missing: the message's text.", "content"));
        }

        var append = new AppendMessage
        {
            SessionId = session_id,
            Message = new NewMessage { MessageId = Guid.CreateVersion7(time.GetUtcNow()).ToString(), Content = content },
        };
        if (body.OptionalString("model") is { } model)
        {
            append.Model = model;
        }

        if (Tokens(body.Root) is { } tokens)
        {
            append.Tokens = tokens;
        }

        var command = new WriteCommand { Traceparent = Activity.Current?.Id ?? "", Scope = Caller.From(user).Scope, AppendMessage = append };
        var result = await storage.WriteAsync(command, options.Value.BeginPatience);
        return result.ResultCase == WriteResult.ResultOneofCase.MessageAppended
            ? Results.Json(MessageResource.From(result.MessageAppended), MessagesJsonContext.Wire.MessageResource, statusCode: StatusCodes.Status201Created)
            : throw new OpenAIErrorException(Refused.ToError(result.Refusal, session_id));
    }

    private static int? Tokens(JsonElement body) => body.TryGetProperty("tokens", out var tokens) switch
    {
        false => null,
        true when tokens.ValueKind == JsonValueKind.Null => null,
        true when tokens.ValueKind == JsonValueKind.Number && tokens.TryGetInt32(out var count) && count >= 0 => count,
        _ => throw new OpenAIErrorException(OpenAIError.InvalidRequest("tokens must be a whole number, 0 or more.", "tokens")),
    };
}
