using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.Completions;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Generation;

namespace ChatHistory.VllmSimulator.Embeddings;

/// <summary>The fields of vLLM's <c>EmbeddingCompletionRequest</c> that the simulator reads.</summary>
internal sealed record EmbeddingRequest
{
    [JsonConverter(typeof(TokenInputConverter))]
    public required TokenInput Input { get; init; }

    public string? Model { get; init; }

    public string? EncodingFormat { get; init; }

    public int? Dimensions { get; init; }

    public string? RequestId { get; init; }

    public Directive? Simulator { get; init; }
}

/// <summary>vLLM's <c>EmbeddingResponse</c>.</summary>
internal sealed record EmbeddingResponse(
    [property: JsonPropertyOrder(0)] string Id,
    [property: JsonPropertyOrder(2)] long Created,
    [property: JsonPropertyOrder(3)] string Model,
    [property: JsonPropertyOrder(4)] IReadOnlyList<EmbeddingData> Data,
    [property: JsonPropertyOrder(5)] UsageInfo Usage)
{
    [JsonPropertyOrder(1)]
    public string Object { get; } = "list";
}

/// <param name="Index">The position of the text in the request.</param>
/// <param name="Embedding">Numbers, or their bytes as base64: what every official SDK asks for unless told otherwise.</param>
internal sealed record EmbeddingData([property: JsonPropertyOrder(0)] int Index, [property: JsonPropertyOrder(2)] JsonElement Embedding)
{
    [JsonPropertyOrder(1)]
    public string Object { get; } = "embedding";
}

[JsonSerializable(typeof(EmbeddingRequest))]
[JsonSerializable(typeof(EmbeddingResponse))]
[JsonSerializable(typeof(float[]))]
internal sealed partial class EmbeddingsJsonContext : JsonSerializerContext
{
    public static EmbeddingsJsonContext Wire { get; } = new(Json.NewOptions());
}
