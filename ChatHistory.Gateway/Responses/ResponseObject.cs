using System.Text.Json.Nodes;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Relay;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Responses;

/// <summary>What is known of a response from its beginning on.</summary>
/// <param name="AnswerMessageId">The answer's message; the ids of the response and of its items come from it.</param>
/// <param name="Model">The model asked for.</param>
/// <param name="Request">What is repeated of the request (<see cref="RequestEcho"/>).</param>
/// <param name="Metadata">JSON object of strings; null for none.</param>
internal sealed record ResponseHead(string AnswerMessageId, DateTimeOffset CreatedAt, string Model, JsonObject Request, string? Metadata)
{
    /// <summary>
    /// The beginning as the answer's id holds it (UUIDv7 begins with the time in milliseconds): the response that is being made and the one that
    /// is read later give the same time. Ids that others made hold none; then it is the row's.
    /// </summary>
    public static DateTimeOffset Created(string answerMessageId, DateTimeOffset stored) =>
        Guid.TryParse(answerMessageId, out var id) && id.Version == 7
            ? DateTimeOffset.FromUnixTimeMilliseconds(Convert.ToInt64(id.ToString("N")[..12], 16))
            : stored;

    public static ResponseHead Of(Message answer) => new(
        answer.MessageId,
        Created(answer.MessageId, answer.CreatedAt.ToDateTimeOffset()),
        answer.HasModel ? answer.Model : "",
        answer.HasRequest ? RequestEcho.OfStored(answer.Request) : [],
        answer.HasMetadata ? answer.Metadata : null);
}

/// <summary>How a response stands, or how it ended.</summary>
/// <param name="Model">The model that really answered; null when that is not known.</param>
/// <param name="EndedAt">When it ended, well or not; null when it has not, or that is not known.</param>
internal sealed record ResponseState(TurnStatus Status, string? FinishReason = null, TurnError? Error = null, ResponseUsage? Usage = null, string? Model = null, DateTimeOffset? EndedAt = null)
{
    public static ResponseState Running { get; } = new(TurnStatus.InProgress);

    public static ResponseState Of(Message answer) => new(
        answer.Status,
        answer.HasFinishReason ? answer.FinishReason : null,
        answer.Error,
        answer.HasPromptTokens ? new ResponseUsage(answer.PromptTokens, answer.Tokens) : null,
        answer.HasModel ? answer.Model : null,
        answer.HasDurationMs ? ResponseHead.Created(answer.MessageId, answer.CreatedAt.ToDateTimeOffset()).AddMilliseconds(answer.DurationMs) : null);
}

/// <summary>Tokens as the model server counted them.</summary>
internal sealed record ResponseUsage(int Input, int Output, int Cached = 0, int Reasoning = 0)
{
    public static ResponseUsage? Of(UsageWire? usage) => usage is not { PromptTokens: { } input }
        ? null
        : new ResponseUsage(input, usage.CompletionTokens ?? 0, usage.PromptDetails?.CachedTokens ?? 0, usage.CompletionDetails?.ReasoningTokens ?? 0);

    public JsonObject ToJson() => new()
    {
        ["input_tokens"] = Input,
        ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = Cached, ["cache_write_tokens"] = 0 },
        ["output_tokens"] = Output,
        ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = Reasoning },
        ["total_tokens"] = Input + Output,
    };
}

/// <summary>OpenAI's response object (openai-openapi, Response).</summary>
internal static class ResponseObject
{
    /// <summary>A stored answer as the response that it is.</summary>
    public static JsonObject Of(Message answer) => Of(ResponseHead.Of(answer), ResponseState.Of(answer), MessageItems.Of(answer));

    public static JsonObject Of(ResponseHead head, ResponseState state, IEnumerable<JsonObject> output)
    {
        var status = Status(state);
        return new JsonObject
        {
            ["id"] = ItemIds.Response(head.AnswerMessageId),
            ["object"] = "response",
            ["created_at"] = head.CreatedAt.ToUnixTimeSeconds(),
            ["status"] = status,
            ["background"] = Repeated(head, "background") ?? false,
            ["completed_at"] = status == "completed" ? state.EndedAt?.ToUnixTimeSeconds() : null,
            ["error"] = Error(state),
            ["incomplete_details"] = status == "incomplete" ? new JsonObject { ["reason"] = state.FinishReason == "content_filter" ? "content_filter" : "max_output_tokens" } : null,
            ["instructions"] = Repeated(head, "instructions"),
            ["max_output_tokens"] = Repeated(head, "max_output_tokens"),
            ["max_tool_calls"] = Repeated(head, "max_tool_calls"),
            ["model"] = state.Model ?? head.Model,
            ["output"] = new JsonArray([.. output]),
            ["parallel_tool_calls"] = Repeated(head, "parallel_tool_calls") ?? true,
            ["previous_response_id"] = Repeated(head, "previous_response_id"),
            ["conversation"] = Repeated(head, "conversation"),
            ["prompt_cache_key"] = Repeated(head, "prompt_cache_key"),
            ["reasoning"] = Repeated(head, "reasoning") ?? new JsonObject { ["effort"] = null, ["summary"] = null },
            ["safety_identifier"] = Repeated(head, "safety_identifier"),
            ["service_tier"] = Repeated(head, "service_tier") ?? "default",
            ["store"] = Repeated(head, "store") ?? true,
            // Null where the request leaves it to the model server, whose own default may be the model's.
            ["temperature"] = Repeated(head, "temperature"),
            ["text"] = Repeated(head, "text") ?? new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
            ["tool_choice"] = Repeated(head, "tool_choice") ?? "auto",
            ["tools"] = Repeated(head, "tools") ?? new JsonArray(),
            ["top_logprobs"] = Repeated(head, "top_logprobs") ?? 0,
            ["top_p"] = Repeated(head, "top_p"),
            ["truncation"] = Repeated(head, "truncation") ?? "disabled",
            ["usage"] = state.Usage?.ToJson(),
            ["user"] = Repeated(head, "user"),
            ["metadata"] = head.Metadata is null ? new JsonObject() : JsonNode.Parse(head.Metadata),
        };
    }

    /// <summary>A turn's status in OpenAI's words.</summary>
    public static string Status(ResponseState state) => state.Status switch
    {
        TurnStatus.InProgress => "in_progress",
        TurnStatus.Incomplete => "incomplete",
        TurnStatus.Completed when state.FinishReason == "content_filter" => "incomplete",
        TurnStatus.Cancelled => "cancelled",
        TurnStatus.Failed or TurnStatus.Interrupted => "failed",
        _ => "completed",
    };

    private static JsonObject? Error(ResponseState state) => state.Status switch
    {
        TurnStatus.Failed => new JsonObject { ["code"] = Code(state, "server_error"), ["message"] = state.Error?.Message ?? "The model server failed." },
        TurnStatus.Interrupted => new JsonObject { ["code"] = "interrupted", ["message"] = state.Error is { Message.Length: > 0 } error ? error.Message : "The gateway or the storage service stopped before the answer was complete." },
        _ => null,
    };

    private static string Code(ResponseState state, string otherwise) => state.Error is { Code.Length: > 0 } error ? error.Code : otherwise;

    private static JsonNode? Repeated(ResponseHead head, string name) => head.Request[name]?.DeepClone();
}
