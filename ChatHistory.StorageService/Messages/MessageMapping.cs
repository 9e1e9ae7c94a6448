using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.StorageService.Database;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Messages;

/// <summary>From a row that was queried to the contract's message.</summary>
internal static class MessageMapping
{
    public static V1.Message ToContract(this Message row)
    {
        var message = new V1.Message
        {
            MessageId = row.MessageId,
            SessionId = row.SessionId,
            Seq = row.Seq ?? 0,
            Content = ContentOf(row),
            Status = MessageStatus.Parse(row.Status),
            Tokens = row.Tokens ?? 0,
            CreatedAt = UtcText.ToTimestamp(row.CreatedAt),
            Error = ReadError(row.Error),
        };
        // Optional fields of the contract refuse null; leaving them out is how it says "none".
        if (row.ParentId is not null)
        {
            message.ParentId = row.ParentId;
        }

        if (row.FinishReason is not null)
        {
            message.FinishReason = row.FinishReason;
        }

        if (row.Model is not null)
        {
            message.Model = row.Model;
        }

        if (row.PromptTokens is { } promptTokens)
        {
            message.PromptTokens = promptTokens;
        }

        if (row.TtftMs is { } ttft)
        {
            message.TtftMs = ttft;
        }

        if (row.DurationMs is { } duration)
        {
            message.DurationMs = duration;
        }

        if (row.CompletionId is not null)
        {
            message.CompletionId = row.CompletionId;
        }

        if (row.RequestId is not null)
        {
            message.RequestId = row.RequestId;
        }

        if (row.TraceId is not null)
        {
            message.TraceId = row.TraceId;
        }

        if (row.Metadata is not null)
        {
            message.Metadata = row.Metadata;
        }

        if (row.Request is not null)
        {
            message.Request = row.Request;
        }

        return message;
    }

    /// <summary>The text of <c>messages.error</c>: <c>{"code":"upstream_error","message":"..."}</c>; null for no error.</summary>
    public static string? WriteError(V1.TurnError? error) =>
        error is null ? null : JsonSerializer.Serialize(new StoredError(error.Code, error.Message), StoredErrorJsonContext.Default.StoredError);

    private static V1.TurnError? ReadError(string? json)
    {
        if (json is null)
        {
            return null;
        }

        try
        {
            var stored = JsonSerializer.Deserialize(json, StoredErrorJsonContext.Default.StoredError);
            return new V1.TurnError { Code = stored?.Code ?? "", Message = stored?.Message ?? "" };
        }
        catch (JsonException)
        {
            // Another tool wrote it.
            return new V1.TurnError { Message = json };
        }
    }

    private static V1.MessageContent ContentOf(Message row)
    {
        var content = new V1.MessageContent { Role = row.Role, Content = row.Content };
        if (row.ContentParts is not null)
        {
            content.ContentParts = row.ContentParts;
        }

        if (row.ToolCalls is not null)
        {
            content.ToolCalls = row.ToolCalls;
        }

        if (row.ToolCallId is not null)
        {
            content.ToolCallId = row.ToolCallId;
        }

        if (row.Name is not null)
        {
            content.Name = row.Name;
        }

        if (row.Reasoning is not null)
        {
            content.Reasoning = row.Reasoning;
        }

        if (row.Extra is not null)
        {
            content.Extra = row.Extra;
        }

        return content;
    }
}

internal sealed record StoredError([property: JsonPropertyName("code")] string? Code, [property: JsonPropertyName("message")] string? Message);

[JsonSerializable(typeof(StoredError))]
internal sealed partial class StoredErrorJsonContext : JsonSerializerContext;
