using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.ChatCompletions;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Generation;

namespace ChatHistory.VllmSimulator.Completions;

/// <summary>The fields of vLLM's <c>CompletionRequest</c> that the simulator reads.</summary>
internal sealed record CompletionRequest
{
    // vLLM's and OpenAI's.
    public const int DefaultMaxTokens = 16;

    [JsonConverter(typeof(TokenInputConverter))]
    public required TokenInput Prompt { get; init; }

    public string? Model { get; init; }

    public bool? Stream { get; init; }

    public StreamOptions? StreamOptions { get; init; }

    public int? MaxTokens { get; init; }

    public int? N { get; init; }

    public bool? Echo { get; init; }

    public int? Logprobs { get; init; }

    [JsonConverter(typeof(StringOrListConverter))]
    public List<string>? Stop { get; init; }

    public bool? IncludeStopStrInOutput { get; init; }

    public long? Seed { get; init; }

    public double? Temperature { get; init; }

    public double? TopP { get; init; }

    public string? RequestId { get; init; }

    public Directive? Simulator { get; init; }
}

/// <summary>vLLM's <c>CompletionResponse</c>.</summary>
internal sealed record CompletionResponse(
    [property: JsonPropertyOrder(0)] string Id,
    [property: JsonPropertyOrder(2)] long Created,
    [property: JsonPropertyOrder(3)] string Model,
    [property: JsonPropertyOrder(4)] IReadOnlyList<CompletionChoice> Choices,
    [property: JsonPropertyOrder(7), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] UsageInfo? Usage)
{
    [JsonPropertyOrder(1)]
    public string Object { get; } = "text_completion";

    [JsonPropertyOrder(5)]
    public string? ServiceTier { get; }

    [JsonPropertyOrder(6)]
    public string SystemFingerprint { get; } = SimulatorApplication.Fingerprint;

    [JsonPropertyOrder(8)]
    public object? KvTransferParams { get; }
}

internal sealed record CompletionChoice(
    [property: JsonPropertyOrder(0)] int Index,
    [property: JsonPropertyOrder(1)] string Text,
    [property: JsonPropertyOrder(2)] CompletionLogprobs? Logprobs,
    [property: JsonPropertyOrder(3)] string FinishReason,
    [property: JsonPropertyOrder(4)] string? StopReason)
{
    [JsonPropertyOrder(5)]
    public object? TokenIds { get; }

    [JsonPropertyOrder(6)]
    public object? PromptLogprobs { get; }

    [JsonPropertyOrder(7)]
    public object? PromptTokenIds { get; }
}

/// <summary>Log probabilities in the format of the old completions.</summary>
internal sealed record CompletionLogprobs(
    IReadOnlyList<int> TextOffset, IReadOnlyList<double> TokenLogprobs, IReadOnlyList<string> Tokens, IReadOnlyList<Dictionary<string, double>> TopLogprobs);

[JsonSerializable(typeof(CompletionRequest))]
[JsonSerializable(typeof(CompletionResponse))]
[JsonSerializable(typeof(CompletionLogprobs))]
internal sealed partial class CompletionsJsonContext : JsonSerializerContext
{
    public static CompletionsJsonContext Wire { get; } = new(Json.NewOptions());
}
