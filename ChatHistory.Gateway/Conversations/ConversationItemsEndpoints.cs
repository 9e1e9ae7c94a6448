using System.Security.Claims;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Conversations;

/// <summary>The items of a conversation: its current branch.</summary>
internal static class ConversationItemsEndpoints
{
    public static void MapConversationItems(this RouteGroupBuilder conversations)
    {
        var group = conversations.MapGroup("{conversation_id}/items");
        group.MapPost("", CreateAsync).WithName("CreateConversationItems").WithSummary("Add up to 20 items to a conversation.")
            .Accepts<CreateItemsBody>("application/json").Produces<JsonObject>();
        group.MapGet("", ListAsync).WithName("ListConversationItems").WithSummary("List a conversation's items, newest first.")
            .Produces<JsonObject>();
        group.MapGet("{item_id}", GetAsync).WithName("GetConversationItem").WithSummary("Read an item.")
            .Produces<JsonObject>();
        group.MapDelete("{item_id}", DeleteAsync).WithName("DeleteConversationItem").WithSummary("Delete an item.")
            .Produces<JsonObject>();
    }

    private static async Task<IResult> CreateAsync(
        string conversation_id, HttpRequest request, ClaimsPrincipal user, ConversationItems items, CancellationToken cancellationToken)
    {
        var scope = Caller.From(user).Scope;
        using var body = await JsonBody.ReadAsync(request, cancellationToken);
        var messages = await items.ParseAsync(scope, body.Root, isOptional: false, cancellationToken);
        return Listed(await items.AppendAsync(scope, ConversationObject.SessionOf(conversation_id), messages), hasMore: false);
    }

    private static async Task<IResult> ListAsync(
        string conversation_id, HttpRequest request, ClaimsPrincipal user, ConversationItems items, CancellationToken cancellationToken,
        string? limit = null, string? order = null, string? after = null)
    {
        var (data, hasMore) = await items.ListAsync(
            Caller.From(user).Scope, ConversationObject.SessionOf(conversation_id), CursorPage.LimitOf(request),
            ListOrder.IsDescending(request, byDefault: true), after ?? "", cancellationToken);
        return Listed(data, hasMore);
    }

    private static async Task<IResult> GetAsync(
        string conversation_id, string item_id, ClaimsPrincipal user, ConversationItems items, CancellationToken cancellationToken)
    {
        var (_, item) = await items.GetAsync(Caller.From(user).Scope, ConversationObject.SessionOf(conversation_id), item_id, cancellationToken);
        return Results.Text(ItemJson.Text(item), "application/json");
    }

    private static async Task<IResult> DeleteAsync(
        string conversation_id, string item_id, ClaimsPrincipal user, ConversationItems items, SessionsClient sessions, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var scope = Caller.From(user).Scope;
        var sessionId = ConversationObject.SessionOf(conversation_id);
        await items.DeleteAsync(scope, sessionId, item_id, cancellationToken);
        var request = new GetSessionRequest { Scope = scope, SessionId = sessionId };
        return ConversationObject.Result(await sessions.GetAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken));
    }

    private static IResult Listed(IReadOnlyList<JsonObject> items, bool hasMore) =>
        CursorPage.Json(items, item => (string)item["id"]!, (writer, item) => item.WriteTo(writer), hasMore);
}

/// <summary>The body of POST /v1/conversations/{conversation_id}/items, for the OpenAPI document; it is read by <see cref="InputItems"/>.</summary>
internal sealed record CreateItemsBody(JsonArray Items);
