using System.Buffers;
using System.Buffers.Binary;
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

namespace ChatHistory.VllmSimulator.Embeddings;

/// <summary>POST /v1/embeddings. (A vLLM serves either generation or embeddings; the simulator does both under one name.)</summary>
internal sealed class EmbeddingHandler(IOptions<SimulatorOptions> options, SimulatorMetrics metrics, TimeProvider time)
{
    private const int MaxDimensions = 65_536;

    private readonly SimulatorOptions _options = options.Value;

    public async Task HandleAsync(HttpContext context)
    {
        var cancellationToken = context.RequestAborted;
        if (RequestBody.Parse(context.Recorded().Body, EmbeddingsJsonContext.Wire.EmbeddingRequest, out var error) is not { } request
            || Script.Resolve(_options, context.Request.Headers[Directive.HeaderName], default, request.Simulator, out error) is not { } script)
        {
            await error!.WriteAsync(context);
            return;
        }

        if (await FaultAnswers.TryAnswerAsync(context, script, time, cancellationToken))
        {
            return;
        }

        var counts = request.Input.Texts.Select(text => SimulatorTokenizer.Count(text)).ToArray();
        error = Validate(request, counts);
        if (error is not null)
        {
            await error.WriteAsync(context);
            return;
        }

        using var run = new GenerationRun(metrics, script, time, counts.Sum());
        await run.WaitForStepAsync(0, cancellationToken);
        var dimensions = request.Dimensions ?? _options.EmbeddingDimensions;
        var response = new EmbeddingResponse(
            $"embd-{(context.Request.Headers["X-Request-Id"] is [{ Length: > 0 } id] ? id : request.RequestId ?? Guid.NewGuid().ToString("N"))}",
            time.GetUtcNow().ToUnixTimeSeconds(),
            _options.Model,
            [.. request.Input.Texts.Select((text, index) => new EmbeddingData(index, Encode(EmbeddingRule.Embed(text, dimensions), request.EncodingFormat)))],
            new UsageInfo(counts.Sum(), counts.Sum(), 0));
        var json = JsonSerializer.SerializeToUtf8Bytes(response, EmbeddingsJsonContext.Wire.EmbeddingResponse);
        await WholeBody.WriteAsync(context, json, script, time, cancellationToken);
        run.Finish([new Answer([], Answer.Stop, null, 0, 0)]);
    }

    private VllmError? Validate(EmbeddingRequest request, int[] counts) => request switch
    {
        { EncodingFormat: not (null or "float" or "base64") } => VllmError.Invalid("literal_error", "body.encoding_format", "Input should be float or base64"),
        { Dimensions: < 1 or > MaxDimensions } => VllmError.BadRequest($"dimensions must lie between 1 and {MaxDimensions}.", "dimensions"),
        { Input.Texts.Count: 0 } => VllmError.BadRequest("The input is empty.", "input"),
        _ => ModelName.Check(request.Model, _options.Model)
            ?? (counts.Max() > _options.MaxModelLen ? VllmError.PromptTooLong(_options.MaxModelLen, 0, counts.Max()) : null),
    };

    private static JsonElement Encode(float[] vector, string? format)
    {
        if (format != "base64")
        {
            return JsonSerializer.SerializeToElement(vector, EmbeddingsJsonContext.Wire.SingleArray);
        }

        var bytes = new byte[vector.Length * sizeof(float)];
        for (var i = 0; i < vector.Length; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
        }

        var json = new ArrayBufferWriter<byte>();
        json.WriteString(Convert.ToBase64String(bytes));
        return JsonElement.Parse(json.WrittenSpan);
    }
}
