using System.Buffers;
using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.Streaming;

namespace ChatHistory.VllmSimulator.Generation;

/// <summary>vLLM's <c>UsageInfo</c>, its members in vLLM's order.</summary>
/// <param name="PromptTokens">Tokens of the prompt, once for all choices.</param>
/// <param name="TotalTokens">The sum of the other two.</param>
/// <param name="CompletionTokens">Tokens of all choices.</param>
/// <param name="CompletionTokensDetails">Only where there was reasoning.</param>
internal sealed record UsageInfo(
    [property: JsonPropertyOrder(0)] int PromptTokens,
    [property: JsonPropertyOrder(1)] int TotalTokens,
    [property: JsonPropertyOrder(2)] int CompletionTokens,
    [property: JsonPropertyOrder(4), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CompletionTokensDetails? CompletionTokensDetails = null)
{
    [JsonPropertyOrder(3)]
    public object? PromptTokensDetails { get; }

    public static UsageInfo Of(int promptTokens, IReadOnlyList<Answer> answers)
    {
        var (completion, reasoning) = (answers.Sum(answer => answer.CompletionTokens), answers.Sum(answer => answer.ReasoningTokens));
        return new(promptTokens, promptTokens + completion, completion, reasoning > 0 ? new(reasoning) : null);
    }

    /// <summary>As in a stream, where vLLM leaves out what is null.</summary>
    public static void Write(IBufferWriter<byte> json, int promptTokens, int completionTokens, int reasoningTokens)
    {
        json.Write("{\"prompt_tokens\":"u8);
        json.WriteNumber(promptTokens);
        json.Write(",\"total_tokens\":"u8);
        json.WriteNumber(promptTokens + completionTokens);
        json.Write(",\"completion_tokens\":"u8);
        json.WriteNumber(completionTokens);
        if (reasoningTokens > 0)
        {
            json.Write(",\"completion_tokens_details\":{\"reasoning_tokens\":"u8);
            json.WriteNumber(reasoningTokens);
            json.Write("}"u8);
        }

        json.Write("}"u8);
    }
}

internal sealed record CompletionTokensDetails(int ReasoningTokens);
