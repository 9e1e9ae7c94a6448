using System.Text.Json;

namespace ChatHistory.Gateway.Context;

/// <summary>
/// The usage of an answer that was cut off before the model server told it. vLLM sends usage last, so a stream that is stopped has none, although
/// all of its tokens were computed, and paid for.
/// </summary>
internal sealed class UsageOnAbort(TokenCounter counter)
{
    /// <summary>Counts prompt and partial answer; null when the model server cannot count, or does not answer in time.</summary>
    /// <param name="upstreamBody">The body as the model server got it.</param>
    /// <param name="answerText">All that it generated: reasoning, text, and the arguments of tool calls.</param>
    /// <param name="cancellationToken">Gives the count up; there is a time limit besides (<c>Context:CountTimeout</c>).</param>
    public async Task<(int PromptTokens, int CompletionTokens)?> CountAsync(ReadOnlyMemory<byte> upstreamBody, string answerText, CancellationToken cancellationToken)
    {
        var prompt = counter.CountChatAsync(upstreamBody, cancellationToken);
        var completion = counter.CountTextAsync(ModelOf(upstreamBody), answerText, cancellationToken);
        await Task.WhenAll(prompt, completion);
        return prompt.Result is { } promptTokens && completion.Result is { } completionTokens ? (promptTokens, completionTokens) : null;
    }

    private static string? ModelOf(ReadOnlyMemory<byte> upstreamBody)
    {
        using var body = JsonDocument.Parse(upstreamBody);
        return body.RootElement.TryGetProperty("model", out var model) && model.ValueKind == JsonValueKind.String ? model.GetString() : null;
    }
}
