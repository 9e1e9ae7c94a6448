using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.ChatCompletions;

namespace ChatHistory.VllmSimulator.Tokenizer;

/// <summary>vLLM's <c>TokenizeCompletionRequest</c> (with a prompt) or <c>TokenizeChatRequest</c> (with messages).</summary>
internal sealed record TokenizeRequest(string? Model, string? Prompt, List<ChatMessage>? Messages, List<ChatTool>? Tools, bool? ReturnTokenStrs);

internal sealed record TokenizeResponse(int Count, int MaxModelLen, IReadOnlyList<long> Tokens, IReadOnlyList<string>? TokenStrs);

internal sealed record DetokenizeRequest
{
    public string? Model { get; init; }

    public required List<long> Tokens { get; init; }
}

internal sealed record DetokenizeResponse(string Prompt);

[JsonSerializable(typeof(TokenizeRequest))]
[JsonSerializable(typeof(TokenizeResponse))]
[JsonSerializable(typeof(DetokenizeRequest))]
[JsonSerializable(typeof(DetokenizeResponse))]
internal sealed partial class TokenizerJsonContext : JsonSerializerContext
{
    public static TokenizerJsonContext Wire { get; } = new(Json.NewOptions());
}
