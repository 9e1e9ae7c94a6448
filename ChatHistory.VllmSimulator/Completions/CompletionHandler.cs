using System.Text;
using System.Text.Json;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Faults;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Metrics;
using ChatHistory.VllmSimulator.Recording;
using ChatHistory.VllmSimulator.Streaming;
using ChatHistory.VllmSimulator.Tokenizer;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator.Completions;

/// <summary>POST /v1/completions, in the same five steps as <see cref="ChatCompletions.ChatCompletionHandler"/>.</summary>
internal sealed class CompletionHandler(IOptions<SimulatorOptions> options, SimulatorMetrics metrics, TimeProvider time)
{
    private readonly SimulatorOptions _options = options.Value;

    public async Task HandleAsync(HttpContext context)
    {
        var cancellationToken = context.RequestAborted;

        // 1
        if (RequestBody.Parse(context.Recorded().Body, CompletionsJsonContext.Wire.CompletionRequest, out var error) is not { } request
            || Script.Resolve(_options, context.Request.Headers[Directive.HeaderName], request.Prompt.Texts is [.., var last] ? last : default, request.Simulator, out error) is not { } script)
        {
            await error!.WriteAsync(context);
            return;
        }

        // 2
        if (await FaultAnswers.TryAnswerAsync(context, script, time, cancellationToken))
        {
            return;
        }

        // 3
        var counts = request.Prompt.Texts.Select(text => SimulatorTokenizer.Count(text)).ToArray();
        error = Validate(request, counts);
        if (error is not null)
        {
            await error.WriteAsync(context);
            return;
        }

        // 4
        var answers = CompletionAnswers.Compose(request, script);

        // 5
        var promptTokens = counts.Sum();
        var id = $"cmpl-{(context.Request.Headers["X-Request-Id"] is [{ Length: > 0 } given] ? given : request.RequestId ?? Guid.NewGuid().ToString("N"))}";
        var created = time.GetUtcNow().ToUnixTimeSeconds();
        using var run = new GenerationRun(metrics, script, time, promptTokens);
        var isComplete = request.Stream is true
            ? await new CompletionStream(request, script, answers, promptTokens, run, new EventStream(context, script, time)).RunAsync(id, created, _options.Model, cancellationToken)
            : await AnswerAsync(context, request, script, answers, promptTokens, run, id, created, cancellationToken);
        if (isComplete)
        {
            run.Finish(answers);
        }
    }

    private VllmError? Validate(CompletionRequest request, int[] counts)
    {
        var maxTokens = request.MaxTokens ?? CompletionRequest.DefaultMaxTokens;
        return request switch
        {
            { StreamOptions: not null, Stream: not true } => VllmError.Refused("stream_options", "Stream options can only be defined when `stream=True`."),
            { Prompt.Texts.Count: 0 } => VllmError.Refused("prompt", "Either prompt or prompt_embeds must be provided and non-empty."),
            _ => ModelName.Check(request.Model, _options.Model)
                ?? SamplingParameters.Validate(request.N, request.Temperature, request.TopP, maxTokens, minTokens: request.Echo is true ? 0 : 1)
                ?? (counts.Max() + (long)maxTokens > _options.MaxModelLen ? VllmError.PromptTooLong(_options.MaxModelLen, maxTokens, counts.Max()) : null),
        };
    }

    private async ValueTask<bool> AnswerAsync(
        HttpContext context, CompletionRequest request, Script script, Answer[] answers, int promptTokens, GenerationRun run, string id, long created, CancellationToken cancellationToken)
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

        var response = new CompletionResponse(
            id,
            created,
            _options.Model,
            [.. answers.Select((answer, index) => Choice(request, answer, index))],
            script.Fault is FaultKind.NoUsage ? null : UsageInfo.Of(promptTokens, answers));
        var json = JsonSerializer.SerializeToUtf8Bytes(response, CompletionsJsonContext.Wire.CompletionResponse);
        await WholeBody.WriteAsync(context, json, script, time, cancellationToken);
        return script.Fault is not (FaultKind.Reset or FaultKind.Close);
    }

    private static CompletionChoice Choice(CompletionRequest request, Answer answer, int index)
    {
        var text = answer.Segments.Count == 0 ? "" : Encoding.UTF8.GetString(answer.Segments[0].Text.Span);
        var prompt = request.Echo is true ? Encoding.UTF8.GetString(request.Prompt.Texts[index / (request.N ?? 1)]) : "";
        return new(
            index,
            prompt + text,
            request.Logprobs is { } alternatives ? CompletionAnswers.Logprobs(Tokens(answer), alternatives, prompt.Length) : null,
            answer.FinishReason,
            answer.StopReason);
    }

    private static IEnumerable<ReadOnlyMemory<byte>> Tokens(Answer answer)
    {
        var cursor = new TokenCursor(answer, endless: false);
        while (cursor.MoveNext(out var token))
        {
            yield return token.Text;
        }
    }
}
