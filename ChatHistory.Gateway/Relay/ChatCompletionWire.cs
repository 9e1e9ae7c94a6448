using System.Text.Json;
using System.Text.Json.Serialization;

namespace ChatHistory.Gateway.Relay;

// The members that are read of a model's answer; it is relayed as it came, whatever else it holds.

/// <summary>One chunk of a streamed completion, or a whole one: <c>{"id","model","choices":[...],"usage"}</c>, or <c>{"error"}</c>.</summary>
internal sealed record ChatCompletionWire
{
    [JsonPropertyName("id")]
    public string? Id { get; init; }

    [JsonPropertyName("model")]
    public string? Model { get; init; }

    [JsonPropertyName("created")]
    public JsonElement? Created { get; init; }

    [JsonPropertyName("choices")]
    public ChoiceWire[]? Choices { get; init; }

    [JsonPropertyName("usage")]
    public UsageWire? Usage { get; init; }

    [JsonPropertyName("error")]
    public JsonElement? Error { get; init; }
}

internal sealed record ChoiceWire
{
    [JsonPropertyName("index")]
    public int Index { get; init; }

    /// <summary>Of a chunk: what is new.</summary>
    [JsonPropertyName("delta")]
    public DeltaWire? Delta { get; init; }

    /// <summary>Of a whole completion: the message.</summary>
    [JsonPropertyName("message")]
    public JsonElement? Message { get; init; }

    [JsonPropertyName("finish_reason")]
    public string? FinishReason { get; init; }

    [JsonPropertyName("logprobs")]
    public JsonElement? Logprobs { get; init; }
}

internal sealed record DeltaWire
{
    [JsonPropertyName("content")]
    public string? Content { get; init; }

    [JsonPropertyName("reasoning_content")]
    public string? ReasoningContent { get; init; }

    [JsonPropertyName("reasoning")]
    public string? Reasoning { get; init; }

    [JsonPropertyName("refusal")]
    public string? Refusal { get; init; }

    [JsonPropertyName("tool_calls")]
    public ToolCallWire[]? ToolCalls { get; init; }
}

internal sealed record ToolCallWire
{
    [JsonPropertyName("index")]
    public int Index { get; init; }

    [JsonPropertyName("id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; init; }

    [JsonPropertyName("type"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Type { get; init; }

    [JsonPropertyName("function")]
    public FunctionWire? Function { get; init; }
}

internal sealed record FunctionWire
{
    [JsonPropertyName("name")]
    public string? Name { get; init; }

    [JsonPropertyName("arguments")]
    public string? Arguments { get; init; }
}

internal sealed record UsageWire
{
    [JsonPropertyName("prompt_tokens")]
    public int? PromptTokens { get; init; }

    [JsonPropertyName("completion_tokens")]
    public int? CompletionTokens { get; init; }

    [JsonPropertyName("prompt_tokens_details")]
    public UsageDetailsWire? PromptDetails { get; init; }

    [JsonPropertyName("completion_tokens_details")]
    public UsageDetailsWire? CompletionDetails { get; init; }
}

internal sealed record UsageDetailsWire
{
    [JsonPropertyName("cached_tokens")]
    public int? CachedTokens { get; init; }

    [JsonPropertyName("reasoning_tokens")]
    public int? ReasoningTokens { get; init; }
}

[JsonSerializable(typeof(ChatCompletionWire))]
internal sealed partial class ChatCompletionsJsonContext : JsonSerializerContext;
