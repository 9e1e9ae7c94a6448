using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Messages;

/// <summary>A stored message as the REST surface shows it: the seed's fields, then what a turn adds. Absent members are unknown.</summary>
internal sealed record MessageResource
{
    [JsonPropertyName("message_id")]
    public required string MessageId { get; init; }

    [JsonPropertyName("session_id"), Description("The session that the message was written in; its forks show it too.")]
    public required string SessionId { get; init; }

    [JsonPropertyName("role"), Description("user | assistant | system | developer | tool | function")]
    public required string Role { get; init; }

    [JsonPropertyName("content"), Description("The text; for array content its text parts, joined by line feeds.")]
    public required string Content { get; init; }

    [JsonPropertyName("model")]
    public string? Model { get; init; }

    [JsonPropertyName("tokens"), Description("Tokens of this message as the model server counted them; 0 when unknown.")]
    public required int Tokens { get; init; }

    [JsonPropertyName("created_at")]
    public required DateTime CreatedAt { get; init; }

    [JsonPropertyName("seq"), Description("Position in the session, from 1. The order is by seq, never by time.")]
    public required long Seq { get; init; }

    [JsonPropertyName("parent_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ParentId { get; init; }

    [JsonPropertyName("status"), Description("in_progress | completed | incomplete | cancelled | failed | interrupted")]
    public required string Status { get; init; }

    [JsonPropertyName("content_parts"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("Array content exactly as it was sent.")]
    public JsonElement? ContentParts { get; init; }

    [JsonPropertyName("tool_calls"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? ToolCalls { get; init; }

    [JsonPropertyName("tool_call_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ToolCallId { get; init; }

    [JsonPropertyName("name"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }

    [JsonPropertyName("reasoning"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Reasoning { get; init; }

    [JsonPropertyName("extra"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("Every other member of the message as it was sent.")]
    public JsonElement? Extra { get; init; }

    [JsonPropertyName("finish_reason"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? FinishReason { get; init; }

    [JsonPropertyName("error"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MessageError? Error { get; init; }

    [JsonPropertyName("prompt_tokens"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? PromptTokens { get; init; }

    [JsonPropertyName("ttft_ms"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("Milliseconds to the first chunk.")]
    public double? TtftMs { get; init; }

    [JsonPropertyName("duration_ms"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? DurationMs { get; init; }

    [JsonPropertyName("completion_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("The model server's id of the answer, chatcmpl-...")]
    public string? CompletionId { get; init; }

    [JsonPropertyName("request_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("x-request-id of the answer that carried this message.")]
    public string? RequestId { get; init; }

    [JsonPropertyName("trace_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("The turn's trace.")]
    public string? TraceId { get; init; }

    [JsonPropertyName("metadata"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("What the client attached to the turn; on answers.")]
    public JsonElement? Metadata { get; init; }

    [JsonPropertyName("children"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), Description("How many messages follow this one directly: more than one where branches begin. Given with branch= and children only.")]
    public int? Children { get; init; }

    public static MessageResource From(Message message) => new()
    {
        MessageId = message.MessageId,
        SessionId = message.SessionId,
        Role = message.Content.Role,
        Content = message.Content.Content,
        Model = message.HasModel ? message.Model : null,
        Tokens = message.Tokens,
        CreatedAt = message.CreatedAt.ToDateTime(),
        Seq = message.Seq,
        ParentId = message.HasParentId ? message.ParentId : null,
        Status = WireStatus(message.Status),
        ContentParts = Json(message.Content.HasContentParts, message.Content.ContentParts),
        ToolCalls = Json(message.Content.HasToolCalls, message.Content.ToolCalls),
        ToolCallId = message.Content.HasToolCallId ? message.Content.ToolCallId : null,
        Name = message.Content.HasName ? message.Content.Name : null,
        Reasoning = message.Content.HasReasoning ? message.Content.Reasoning : null,
        Extra = Json(message.Content.HasExtra, message.Content.Extra),
        FinishReason = message.HasFinishReason ? message.FinishReason : null,
        Error = message.Error is { } error ? new MessageError(error.Code, error.Message) : null,
        PromptTokens = message.HasPromptTokens ? message.PromptTokens : null,
        TtftMs = message.HasTtftMs ? message.TtftMs : null,
        DurationMs = message.HasDurationMs ? message.DurationMs : null,
        CompletionId = message.HasCompletionId ? message.CompletionId : null,
        RequestId = message.HasRequestId ? message.RequestId : null,
        TraceId = message.HasTraceId ? message.TraceId : null,
        Metadata = Json(message.HasMetadata, message.Metadata),
        Children = message.HasChildren ? message.Children : null,
    };

    private static string WireStatus(TurnStatus status) => status switch
    {
        TurnStatus.InProgress => "in_progress",
        TurnStatus.Incomplete => "incomplete",
        TurnStatus.Cancelled => "cancelled",
        TurnStatus.Failed => "failed",
        TurnStatus.Interrupted => "interrupted",
        _ => "completed",
    };

    private static JsonElement? Json(bool present, string text)
    {
        if (!present)
        {
            return null;
        }

        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}

internal sealed record MessageError([property: JsonPropertyName("code")] string Code, [property: JsonPropertyName("message")] string Message);

/// <summary>A page of a session's messages.</summary>
internal sealed record MessageList(
    [property: JsonPropertyName("messages")] IReadOnlyList<MessageResource> Messages,
    [property: JsonPropertyName("total")] long Total,
    [property: JsonPropertyName("session_info")] SessionResource SessionInfo,
    [property: JsonPropertyName("limit")] int Limit,
    [property: JsonPropertyName("offset")] int Offset,
    [property: JsonPropertyName("has_more")] bool HasMore);

/// <summary>The messages that follow one message directly.</summary>
internal sealed record MessageChildren([property: JsonPropertyName("messages")] IReadOnlyList<MessageResource> Messages);

/// <summary>The body of POST /v1/sessions/{session_id}/messages, for the OpenAPI document; it is read by <see cref="WireMessage"/>.</summary>
internal sealed record AppendMessageBody(
    [property: JsonPropertyName("role"), Description("user | assistant | system | developer | tool | function")] string Role,
    [property: JsonPropertyName("content"), Description("A string, or an array of content parts.")] JsonNode Content,
    [property: JsonPropertyName("model")] string? Model = null,
    [property: JsonPropertyName("tokens")] int? Tokens = null);
