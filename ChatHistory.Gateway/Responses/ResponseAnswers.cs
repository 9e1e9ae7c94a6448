using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Relay;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Responses;

/// <summary>What a response needs to know of the answer behind it.</summary>
internal static class ResponseAnswers
{
    public static MessageContent MessageOf(CompletionObserver observer) => (observer.Choices.FirstOrDefault() ?? new ChoiceAccumulator()).ToMessage();

    public static ResponseState StateOf(RelayResult result, CompletionObserver observer, DateTimeOffset endedAt)
    {
        var reason = result.FinishReasonOf(observer.Choices.FirstOrDefault());
        return new ResponseState(result.ToStatus(reason), reason, result.ToTurnError(), UsageOf(observer), observer.Model, endedAt);
    }

    public static ResponseState StateOf(OpenAIError error, CompletionObserver observer) =>
        new(TurnStatus.Failed, Error: new TurnError { Code = error.Code ?? "server_error", Message = error.Message }, Usage: UsageOf(observer), Model: observer.Model);

    public static ResponseUsage? UsageOf(CompletionObserver observer) =>
        observer.PromptTokens is { } prompt ? new ResponseUsage(prompt, observer.CompletionTokens ?? 0) : null;

    /// <summary>The usage in a whole completion, with its details.</summary>
    public static ResponseUsage? UsageOf(ReadOnlySpan<byte> completion) =>
        ResponseUsage.Of(JsonSerializer.Deserialize(completion, ChatCompletionsJsonContext.Default.ChatCompletionWire)?.Usage);

    public static Task SendAsync(this HttpContext context, JsonObject json)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(ItemJson.Text(json), context.RequestAborted);
    }
}
