using System.Text.Json.Serialization;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Sessions;

namespace ChatHistory.Gateway.History;

/// <summary>The shape of GET /v1/users/{user_id}/history, for the OpenAPI document; <see cref="HistoryEndpoints"/> writes it as a stream.</summary>
internal sealed record UserHistory(
    [property: JsonPropertyName("user_id")] string UserId,
    [property: JsonPropertyName("total")] long Total,
    [property: JsonPropertyName("limit")] int Limit,
    [property: JsonPropertyName("offset")] int Offset,
    [property: JsonPropertyName("has_more")] bool HasMore,
    [property: JsonPropertyName("next")] string? Next,
    [property: JsonPropertyName("sessions")] IReadOnlyList<SessionHistory> Sessions);

/// <summary>One session of a history: the session, with all of its messages in order.</summary>
internal sealed record SessionHistory : SessionResource
{
    [JsonPropertyName("messages")]
    public required IReadOnlyList<MessageResource> Messages { get; init; }
}
