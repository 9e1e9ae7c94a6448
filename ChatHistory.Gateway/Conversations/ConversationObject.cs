using System.Text.Json.Nodes;
using ChatHistory.Gateway.Items;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Conversations;

/// <summary>A session as OpenAI's conversation: <c>{"id":"conv_...","object":"conversation","created_at":1760000000,"metadata":{}}</c></summary>
internal static class ConversationObject
{
    public static JsonObject Of(Session session) => new()
    {
        ["id"] = ItemIds.Conversation(session.SessionId),
        ["object"] = "conversation",
        ["created_at"] = session.CreatedAt.Seconds,
        // A session's own metadata may be any object: it is shown as it is.
        ["metadata"] = session.HasMetadata ? JsonNode.Parse(session.Metadata) : new JsonObject(),
    };

    public static IResult Result(Session session) => Results.Text(ItemJson.Text(Of(session)), "application/json");

    /// <summary>The session behind a conversation's id. The bare id of a session does as well.</summary>
    public static string SessionOf(string conversationId) => ItemIds.SessionOf(conversationId) ?? conversationId;
}
