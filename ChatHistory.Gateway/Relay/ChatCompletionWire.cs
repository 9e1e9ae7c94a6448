using System.Text.Json;
using System.Text.Json.Serialization;

namespace ChatHistory.Gateway.Relay;

// The members that are read of a model's answer; it is relayed as it came, whatever else it holds.
// With setters, not init: a chunk is read for every token, and members that can only be set at the beginning are gathered in an array of boxes first.

/// <summary>One chunk of a streamed completion, or a whole one: <c>{"id","model","choices":[...],"usage"}</c>, or <c>{"error"}</c>.</summary>
internal sealed record ChatCompletionWire
{
    [JsonPropertyName("id")]
    public string? Id { get; set; }

    [JsonPropertyName("model")]
    public string? Model { get; set; }

    [JsonPropertyName("created"), JsonConverter(typeof(UnixSecondsConverter))]
    public long? Created { get; set; }

    [JsonPropertyName("choices")]
    public ChoiceWire[]? Choices { get; set; }

    [JsonPropertyName("usage")]
    public UsageWire? Usage { get; set; }

    [JsonPropertyName("error")]
    public JsonElement? Error { get; set; }
}

internal sealed record ChoiceWire
{
    [JsonPropertyName("index")]
    public int Index { get; set; }

    /// <summary>Of a chunk: what is new.</summary>
    [JsonPropertyName("delta")]
    public DeltaWire? Delta { get; set; }

    /// <summary>Of a whole completion: the message.</summary>
    [JsonPropertyName("message")]
    public JsonElement? Message { get; set; }

    [JsonPropertyName("finish_reason")]
    public string? FinishReason { get; set; }

    [JsonPropertyName("logprobs")]
    public JsonElement? Logprobs { get; set; }
}

internal sealed record DeltaWire
{
    [JsonPropertyName("content")]
    public string? Content { get; set; }

    [JsonPropertyName("reasoning_content")]
    public string? ReasoningContent { get; set; }

    [JsonPropertyName("reasoning")]
    public string? Reasoning { get; set; }

    [JsonPropertyName("refusal")]
    public string? Refusal { get; set; }

    [JsonPropertyName("tool_calls")]
    public ToolCallWire[]? ToolCalls { get; set; }
}

internal sealed record ToolCallWire
{
    [JsonPropertyName("index")]
    public int Index { get; set; }

    [JsonPropertyName("id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; set; }

    [JsonPropertyName("type"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Type { get; set; }

    [JsonPropertyName("function")]
    public FunctionWire? Function { get; set; }
}

internal sealed record FunctionWire
{
    [JsonPropertyName("name")]
    public string? Name { get; set; }

    [JsonPropertyName("arguments")]
    public string? Arguments { get; set; }
}

internal sealed record UsageWire
{
    [JsonPropertyName("prompt_tokens")]
    public int? PromptTokens { get; set; }

    [JsonPropertyName("completion_tokens")]
    public int? CompletionTokens { get; set; }

    [JsonPropertyName("prompt_tokens_details")]
    public UsageDetailsWire? PromptDetails { get; set; }

    [JsonPropertyName("completion_tokens_details")]
    public UsageDetailsWire? CompletionDetails { get; set; }
}

internal sealed record UsageDetailsWire
{
    [JsonPropertyName("cached_tokens")]
    public int? CachedTokens { get; set; }

    [JsonPropertyName("reasoning_tokens")]
    public int? ReasoningTokens { get; set; }
}

/// <summary>Whole seconds; whatever else a server sends in their place is none, and no reason not to read the rest.</summary>
internal sealed class UnixSecondsConverter : JsonConverter<long?>
{
    public override long? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var seconds))
        {
            return seconds;
        }

        reader.Skip();
        return null;
    }

    public override void Write(Utf8JsonWriter writer, long? value, JsonSerializerOptions options) => throw new NotSupportedException("Only read.");
}

[JsonSerializable(typeof(ChatCompletionWire))]
internal sealed partial class ChatCompletionsJsonContext : JsonSerializerContext;
