using System.Security.Claims;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.StoredCompletions;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Conversations;

/// <summary>OpenAI's conversations: the sessions, by other names. And the list of them, which OpenAI lacks, in Azure's shape.</summary>
internal static class ConversationsEndpoints
{
    public static IEndpointRouteBuilder MapConversations(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/conversations").WithTags("Conversations");
        group.MapPost("", CreateAsync).WithName("CreateConversation").WithSummary("Create a conversation, perhaps with its first items.")
            .Accepts<CreateConversationBody>(isOptional: true, "application/json").Produces<JsonObject>();
        group.MapGet("", ListAsync).WithName("ListConversations").WithSummary("List conversations, newest first.")
            .Produces<JsonObject>();
        group.MapGet("{conversation_id}", GetAsync).WithName("GetConversation").WithSummary("Read a conversation.")
            .Produces<JsonObject>();
        group.MapPost("{conversation_id}", UpdateAsync).WithName("UpdateConversation").WithSummary("Replace a conversation's metadata.")
            .Accepts<MetadataBody>("application/json").Produces<JsonObject>();
        group.MapDelete("{conversation_id}", DeleteAsync).WithName("DeleteConversation").WithSummary("Delete a conversation and its items.")
            .Produces<JsonObject>();
        group.MapConversationItems();
        return routes;
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, ClaimsPrincipal user, SessionsClient sessions, ConversationItems items, TimeProvider time, CancellationToken cancellationToken)
    {
        var caller = Caller.From(user);
        // Clients send no body where they have nothing to say.
        using var body = request.ContentLength > 0 || request.Headers.TransferEncoding.Count > 0 ? await JsonBody.ReadAsync(request, cancellationToken) : null;
        var session = new NewSession { UserId = caller.UserNamed(body?.OptionalString("user_id")) };
        if (body is not null && MetadataRule.Read(body.Root) is { } metadata)
        {
            session.Metadata = metadata;
        }

        var messages = body is null ? [] : await items.ParseAsync(caller.Scope, body.Root, isOptional: true, cancellationToken);
        var create = new CreateSessionRequest { Scope = caller.Scope, SessionId = Guid.CreateVersion7(time.GetUtcNow()).ToString(), Session = session };
        var created = await sessions.CreateAsync(create, deadline: time.Deadline(), cancellationToken: cancellationToken);
        await items.AppendAsync(caller.Scope, created.SessionId, messages);
        return ConversationObject.Result(created);
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken,
        string? limit = null, string? order = null, string? after = null, string? before = null, string? user_id = null)
    {
        if (!string.IsNullOrEmpty(after) && !string.IsNullOrEmpty(before))
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("after and before exclude each other: send one of them.", "before"));
        }

        var caller = Caller.From(user);
        var query = new ListCreatedRequest
        {
            Scope = caller.Scope,
            // As for stored completions: SDKs cannot say whose, so in personal mode it is everybody's.
            UserId = string.IsNullOrEmpty(user_id) ? "" : caller.UserNamed(user_id),
            Limit = CursorPage.LimitOf(request),
            Descending = ListOrder.IsDescending(request, byDefault: true),
            After = ConversationObject.SessionOf(after ?? ""),
            Before = ConversationObject.SessionOf(before ?? ""),
        };
        var reply = await sessions.ListCreatedAsync(query, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return CursorPage.Json(
            reply.Sessions, session => ItemIds.Conversation(session.SessionId), (writer, session) => ConversationObject.Of(session).WriteTo(writer), reply.HasMore);
    }

    private static async Task<IResult> GetAsync(
        string conversation_id, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new GetSessionRequest { Scope = Caller.From(user).Scope, SessionId = ConversationObject.SessionOf(conversation_id) };
        return ConversationObject.Result(await sessions.GetAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken));
    }

    private static async Task<IResult> UpdateAsync(
        string conversation_id, HttpRequest request, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        using var body = await JsonBody.ReadAsync(request, cancellationToken);
        var update = new UpdateSessionRequest
        {
            Scope = Caller.From(user).Scope, SessionId = ConversationObject.SessionOf(conversation_id), Metadata = MetadataRule.ReadRequired(body.Root),
        };
        return ConversationObject.Result(await sessions.UpdateAsync(update, deadline: time.Deadline(), cancellationToken: cancellationToken));
    }

    private static async Task<IResult> DeleteAsync(
        string conversation_id, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var sessionId = ConversationObject.SessionOf(conversation_id);
        var request = new DeleteSessionRequest { Scope = Caller.From(user).Scope, SessionId = sessionId };
        await sessions.DeleteAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(new JsonObject { ["id"] = ItemIds.Conversation(sessionId), ["object"] = "conversation.deleted", ["deleted"] = true });
    }
}

/// <summary>The body of POST /v1/conversations, for the OpenAPI document.</summary>
internal sealed record CreateConversationBody(JsonArray? Items = null, Dictionary<string, string>? Metadata = null);
