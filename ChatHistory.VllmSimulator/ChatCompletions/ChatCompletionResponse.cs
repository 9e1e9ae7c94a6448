using System.Text;
using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.Generation;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>vLLM's <c>ChatCompletionResponse</c>: every member is there, nulls included, in vLLM's order.</summary>
internal sealed record ChatCompletionResponse(
    [property: JsonPropertyOrder(0)] string Id,
    [property: JsonPropertyOrder(2)] long Created,
    [property: JsonPropertyOrder(3)] string Model,
    [property: JsonPropertyOrder(4)] IReadOnlyList<ChatChoice> Choices,
    [property: JsonPropertyOrder(7), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] UsageInfo? Usage)
{
    [JsonPropertyOrder(1)]
    public string Object { get; } = "chat.completion";

    [JsonPropertyOrder(5)]
    public string? ServiceTier { get; }

    [JsonPropertyOrder(6)]
    public string SystemFingerprint { get; } = SimulatorApplication.Fingerprint;

    [JsonPropertyOrder(8)]
    public object? PromptLogprobs { get; }

    [JsonPropertyOrder(9)]
    public object? PromptTokenIds { get; }

    [JsonPropertyOrder(10)]
    public object? KvTransferParams { get; }
}

internal sealed record ChatChoice(
    [property: JsonPropertyOrder(0)] int Index,
    [property: JsonPropertyOrder(1)] AssistantMessage Message,
    [property: JsonPropertyOrder(2)] ChatLogprobs? Logprobs,
    [property: JsonPropertyOrder(3)] string FinishReason,
    [property: JsonPropertyOrder(4)] string? StopReason)
{
    [JsonPropertyOrder(5)]
    public object? TokenIds { get; }
}

/// <summary>vLLM's <c>ChatMessage</c>. Since 0.12 its reasoning is called <c>reasoning</c>; before, <c>reasoning_content</c>.</summary>
internal sealed record AssistantMessage(
    [property: JsonPropertyOrder(1)] string? Content,
    [property: JsonPropertyOrder(6), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<AssistantToolCall>? ToolCalls,
    [property: JsonPropertyOrder(7)] string? Reasoning,
    [property: JsonPropertyOrder(8), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? ReasoningContent)
{
    [JsonPropertyOrder(0)]
    public string Role { get; } = "assistant";

    [JsonPropertyOrder(2)]
    public string? Refusal { get; }

    [JsonPropertyOrder(3)]
    public object? Annotations { get; }

    [JsonPropertyOrder(4)]
    public object? Audio { get; }

    [JsonPropertyOrder(5)]
    public object? FunctionCall { get; }

    /// <summary>The message that an answer makes.</summary>
    /// <param name="answer">What was generated.</param>
    /// <param name="isForced">True when <c>tool_choice</c> demanded a call: vLLM then writes empty content where else it writes null.</param>
    /// <param name="reasoningField">The name of the member for the reasoning; null hides it.</param>
    public static AssistantMessage Of(Answer answer, bool isForced, string? reasoningField)
    {
        var calls = answer.Segments
            .Where(segment => segment.Kind is SegmentKind.ToolCall)
            .Select(call => new AssistantToolCall(call.ToolCallId!, new(call.ToolName!, Encoding.UTF8.GetString(call.Text.Span))))
            .ToArray();
        var reasoning = Text(SegmentKind.Reasoning);
        return new(
            Text(SegmentKind.Content) ?? (calls.Length == 0 || isForced ? "" : null),
            calls.Length == 0 ? null : calls,
            reasoningField == "reasoning" ? reasoning : null,
            reasoningField == "reasoning_content" ? reasoning : null);

        string? Text(SegmentKind kind) => answer.Segments.FirstOrDefault(segment => segment.Kind == kind) is { } segment ? Encoding.UTF8.GetString(segment.Text.Span) : null;
    }
}

internal sealed record AssistantToolCall([property: JsonPropertyOrder(0)] string Id, [property: JsonPropertyOrder(2)] AssistantFunctionCall Function)
{
    [JsonPropertyOrder(1)]
    public string Type { get; } = "function";
}

internal sealed record AssistantFunctionCall(string Name, string Arguments);
