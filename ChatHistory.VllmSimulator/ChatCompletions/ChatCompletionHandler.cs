using System.Text.Json;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Faults;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Metrics;
using ChatHistory.VllmSimulator.Recording;
using ChatHistory.VllmSimulator.Streaming;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>POST /v1/chat/completions.</summary>
/// <remarks>
/// 1 read the request and the script · 2 faults that replace the answer · 3 refuse what vLLM refuses · 4 compose the whole answer ·
/// 5 send it at the script's pace, streamed or in one piece.
/// </remarks>
internal sealed class ChatCompletionHandler(IOptions<SimulatorOptions> options, SimulatorMetrics metrics, TimeProvider time)
{
    private readonly SimulatorOptions _options = options.Value;

    public async Task HandleAsync(HttpContext context)
    {
        var cancellationToken = context.RequestAborted;

        // 1
        if (RequestBody.Parse(context.Recorded().Body, ChatCompletionsJsonContext.Wire.ChatCompletionRequest, out var error) is not { } request
            || (error = ChatValidation.Shape(request)) is not null
            || Script.Resolve(_options, context.Request.Headers[Directive.HeaderName], AnswerRule.LastUserText(request.Messages), request.Simulator, out error) is not { } script)
        {
            await error!.WriteAsync(context);
            return;
        }

        // A tool named in a header or a text directive counts like one in the body.
        request = request with { Simulator = script.Directive };

        // 2
        if (await FaultAnswers.TryAnswerAsync(context, script, time, cancellationToken))
        {
            return;
        }

        // 3
        var promptTokens = ChatPrompt.CountTokens(request.Messages, request.Tools);
        error = ChatValidation.Validate(request, _options.Model) ?? TooLong(promptTokens, request.OutputTokens);
        if (error is not null)
        {
            await error.WriteAsync(context);
            return;
        }

        // 4
        var answers = ChatAnswers.Compose(request, script, request.OutputTokens ?? (_options.MaxModelLen - promptTokens));

        // 5
        using var run = new GenerationRun(metrics, script, time, promptTokens);
        var isComplete = request.Stream is true
            ? await StreamAsync(context, request, script, answers, promptTokens, run, cancellationToken)
            : await AnswerAsync(context, request, script, answers, promptTokens, run, cancellationToken);
        if (isComplete)
        {
            run.Finish(answers);
        }
    }

    /// <summary>As OpenAI and vLLM: <c>tool_calls</c> for calls that the model chose, <c>stop</c> for one that was named.</summary>
    public static string FinishReason(ChatCompletionRequest request, Answer answer) =>
        answer.FinishReason == Answer.Stop && answer.HasToolCalls && ToolRule.NamedTool(request.ToolChoice) is null ? "tool_calls" : answer.FinishReason;

    private VllmError? TooLong(int promptTokens, int? outputTokens) =>
        promptTokens + (long)(outputTokens ?? 0) > _options.MaxModelLen || (outputTokens is null && promptTokens == _options.MaxModelLen)
            ? VllmError.PromptTooLong(_options.MaxModelLen, outputTokens ?? 0, promptTokens)
            : null;

    private ValueTask<bool> StreamAsync(
        HttpContext context, ChatCompletionRequest request, Script script, Answer[] answers, int promptTokens, GenerationRun run, CancellationToken cancellationToken)
    {
        var includeUsage = request.StreamOptions is { IncludeUsage: true };
        var chunks = new ChatChunkWriter(
            CompletionId(context, request),
            time.GetUtcNow().ToUnixTimeSeconds(),
            _options.Model,
            ReasoningField(script),
            promptTokens,
            includeUsage,
            continuousUsage: includeUsage && request.StreamOptions is { ContinuousUsageStats: true } && script.Fault is not FaultKind.NoUsage);
        return new ChatStream(request, script, answers, run, new EventStream(context, script, time), chunks).RunAsync(cancellationToken);
    }

    private async ValueTask<bool> AnswerAsync(
        HttpContext context, ChatCompletionRequest request, Script script, Answer[] answers, int promptTokens, GenerationRun run, CancellationToken cancellationToken)
    {
        if (script.Fault is FaultKind.Endless)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
        }

        await run.WaitForAllAsync(answers, cancellationToken);
        if (script.Fault is FaultKind.ErrorChunk)
        {
            await VllmError.Internal.WriteAsync(context);
            return false;
        }

        var isForced = ToolRule.NamedTool(request.ToolChoice) is not null || request.ToolChoice is { ValueKind: JsonValueKind.String } choice && choice.ValueEquals("required"u8);
        var reasoningField = request.IncludeReasoning is false ? null : ReasoningField(script);
        var response = new ChatCompletionResponse(
            CompletionId(context, request),
            time.GetUtcNow().ToUnixTimeSeconds(),
            _options.Model,
            [.. answers.Select((answer, index) => new ChatChoice(
                index,
                AssistantMessage.Of(answer, isForced, reasoningField),
                request.Logprobs is true ? ChatLogprobs.Of(answer, request.TopLogprobs ?? 0) : null,
                FinishReason(request, answer),
                answer.StopReason))],
            script.Fault is FaultKind.NoUsage ? null : UsageInfo.Of(promptTokens, answers));
        var json = JsonSerializer.SerializeToUtf8Bytes(response, ChatCompletionsJsonContext.Wire.ChatCompletionResponse);
        await WholeBody.WriteAsync(context, json, script, time, cancellationToken);
        return script.Fault is not (FaultKind.Reset or FaultKind.Close);
    }

    /// <summary>vLLM's rule: the header, else the body's field, else a random one.</summary>
    private static string CompletionId(HttpContext context, ChatCompletionRequest request) =>
        $"chatcmpl-{(context.Request.Headers["X-Request-Id"] is [{ Length: > 0 } id] ? id : request.RequestId ?? Guid.NewGuid().ToString("N"))}";

    private static string ReasoningField(Script script) => script.Directive.ReasoningField ?? "reasoning";
}
