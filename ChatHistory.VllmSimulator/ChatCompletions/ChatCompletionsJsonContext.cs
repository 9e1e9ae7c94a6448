using System.Text.Json.Serialization;

namespace ChatHistory.VllmSimulator.ChatCompletions;

[JsonSerializable(typeof(ChatCompletionRequest))]
[JsonSerializable(typeof(ChatCompletionResponse))]
[JsonSerializable(typeof(ChatLogprobs))]
[JsonSerializable(typeof(SimulatedJsonAnswer))]
internal sealed partial class ChatCompletionsJsonContext : JsonSerializerContext
{
    public static ChatCompletionsJsonContext Wire { get; } = new(Json.NewOptions());
}

/// <summary>The answer's text under <c>response_format: json_object</c>.</summary>
internal sealed record SimulatedJsonAnswer(bool Simulated, string Answer);
