using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.Directives;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>The fields of vLLM's <c>ChatCompletionRequest</c> that the simulator reads. Unknown ones are accepted, as vLLM accepts them.</summary>
internal sealed record ChatCompletionRequest
{
    public required List<ChatMessage> Messages { get; init; }

    public string? Model { get; init; }

    public bool? Stream { get; init; }

    public StreamOptions? StreamOptions { get; init; }

    public int? MaxTokens { get; init; }

    public int? MaxCompletionTokens { get; init; }

    public int? N { get; init; }

    [JsonConverter(typeof(StringOrListConverter))]
    public List<string>? Stop { get; init; }

    public bool? IncludeStopStrInOutput { get; init; }

    public long? Seed { get; init; }

    public double? Temperature { get; init; }

    public double? TopP { get; init; }

    public bool? Logprobs { get; init; }

    public int? TopLogprobs { get; init; }

    public List<ChatTool>? Tools { get; init; }

    public JsonElement? ToolChoice { get; init; }

    public bool? ParallelToolCalls { get; init; }

    public ResponseFormat? ResponseFormat { get; init; }

    public StructuredOutputs? StructuredOutputs { get; init; }

    public JsonElement? ChatTemplateKwargs { get; init; }

    public string? ReasoningEffort { get; init; }

    public bool? IncludeReasoning { get; init; }

    public string? RequestId { get; init; }

    /// <summary>Our own field; a gateway passes it on because it does not know it.</summary>
    public Directive? Simulator { get; init; }

    /// <summary>vLLM's default: as many as fit.</summary>
    [JsonIgnore]
    public int? OutputTokens => MaxCompletionTokens ?? MaxTokens;
}

/// <summary>A message of any role, with content as text or as parts.</summary>
internal sealed record ChatMessage
{
    public required string Role { get; init; }

    [JsonConverter(typeof(MessageContentConverter))]
    public MessageContent? Content { get; init; }

    public List<ChatToolCall>? ToolCalls { get; init; }

    /// <summary>A message of text, as tests need it to compute an answer.</summary>
    public static ChatMessage Of(string role, string text) => new() { Role = role, Content = new(Encoding.UTF8.GetBytes(text)) };

    [JsonIgnore]
    public ReadOnlySpan<byte> Text => Content is null ? default : Content.Text.Span;
}

internal sealed record StreamOptions(bool? IncludeUsage, bool? ContinuousUsageStats);

internal sealed record ChatTool(string? Type, FunctionDefinition? Function);

internal sealed record FunctionDefinition(string? Name, JsonElement? Parameters);

/// <summary>A tool call that a client sends back with the history.</summary>
internal sealed record ChatToolCall(string? Id, ChatToolCallFunction? Function);

/// <param name="Name">The tool's name.</param>
/// <param name="Arguments">A string of JSON in OpenAI's format; some templates take an object.</param>
internal sealed record ChatToolCallFunction(string? Name, JsonElement? Arguments);

internal sealed record ResponseFormat(string? Type, ResponseSchema? JsonSchema);

internal sealed record ResponseSchema(string? Name, JsonElement? Schema);

/// <summary>vLLM's own way to constrain an answer.</summary>
internal sealed record StructuredOutputs(JsonElement? Json, List<string>? Choice);
