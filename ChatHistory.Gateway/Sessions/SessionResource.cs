using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Sessions;

/// <summary>A session as the REST surface shows it.</summary>
internal record SessionResource
{
    [JsonPropertyName("session_id")]
    public required string SessionId { get; init; }

    [JsonPropertyName("user_id")]
    public required string UserId { get; init; }

    [JsonPropertyName("title")]
    public required string Title { get; init; }

    [JsonPropertyName("created_at")]
    public required DateTime CreatedAt { get; init; }

    [JsonPropertyName("updated_at")]
    public required DateTime UpdatedAt { get; init; }

    [JsonPropertyName("is_active")]
    public required bool IsActive { get; init; }

    [JsonPropertyName("message_count"), Description("Of a fork: with the messages that it inherits.")]
    public required long MessageCount { get; init; }

    [JsonPropertyName("prompt_tokens"), Description("Sum over the session's turns.")]
    public required long PromptTokens { get; init; }

    [JsonPropertyName("completion_tokens"), Description("Sum over the session's turns.")]
    public required long CompletionTokens { get; init; }

    [JsonPropertyName("head_message_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("The message from which the next turn continues; absent as long as there is none.")]
    public string? HeadMessageId { get; init; }

    [JsonPropertyName("forked_from"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("Of a fork: the message of another session from which it continues.")]
    public string? ForkedFrom { get; init; }

    [JsonPropertyName("metadata"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Metadata { get; init; }

    public static SessionResource From(Session session) => new()
    {
        SessionId = session.SessionId,
        UserId = session.UserId,
        Title = session.Title,
        CreatedAt = session.CreatedAt.ToDateTime(),
        UpdatedAt = session.UpdatedAt.ToDateTime(),
        IsActive = session.IsActive,
        MessageCount = session.MessageCount,
        PromptTokens = session.PromptTokens,
        CompletionTokens = session.CompletionTokens,
        HeadMessageId = session.HasHeadMessageId ? session.HeadMessageId : null,
        ForkedFrom = session.HasForkedFrom ? session.ForkedFrom : null,
        Metadata = session.HasMetadata ? JsonElement.Parse(session.Metadata) : null,
    };
}

/// <summary>A page of a user's sessions, newest activity first.</summary>
internal sealed record SessionList(
    [property: JsonPropertyName("sessions")] IReadOnlyList<SessionResource> Sessions,
    [property: JsonPropertyName("total")] long Total,
    [property: JsonPropertyName("limit")] int Limit,
    [property: JsonPropertyName("offset")] int Offset,
    [property: JsonPropertyName("has_more")] bool HasMore,
    [property: JsonPropertyName("next"), Description("Give it as ?after= for the next page; null at the end.")] string? Next);

internal sealed record CreateSessionBody(
    [property: JsonPropertyName("user_id"), Description("Whose session it is. With an API key it is the key's owner, whatever stands here.")] string? UserId,
    [property: JsonPropertyName("title"), Description("Default: New Conversation.")] string? Title = null,
    [property: JsonPropertyName("metadata"), Description("A JSON object of your own, up to 16 KiB.")] JsonElement? Metadata = null);

internal sealed record UpdateSessionBody(
    [property: JsonPropertyName("title")] string? Title = null,
    [property: JsonPropertyName("metadata"), Description("Replaces the stored object.")] JsonElement? Metadata = null,
    [property: JsonPropertyName("is_active")] bool? IsActive = null,
    [property: JsonPropertyName("head_message_id"), Description("The message from which the next turn continues: any one that the session shows, but none in progress or failed.")] string? HeadMessageId = null);

internal sealed record ForkSessionBody(
    [property: JsonPropertyName("message_id"), Description("The message from which the fork continues; absent: the session's head.")] string? MessageId = null,
    [property: JsonPropertyName("title"), Description("Absent: the session's own.")] string? Title = null);

[JsonSerializable(typeof(SessionResource))]
[JsonSerializable(typeof(SessionList))]
[JsonSerializable(typeof(CreateSessionBody))]
[JsonSerializable(typeof(UpdateSessionBody))]
[JsonSerializable(typeof(ForkSessionBody))]
internal sealed partial class SessionsJsonContext : JsonSerializerContext
{
    public static SessionsJsonContext Wire { get; } = new(WireJson.Options);
}
