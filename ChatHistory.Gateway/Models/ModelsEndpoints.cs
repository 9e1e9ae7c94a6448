using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Upstream;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Models;

/// <summary>The model server's own models: the list as it answers it, and one of them.</summary>
internal static class ModelsEndpoints
{
    private const int MaxListBytes = 4 * 1024 * 1024;

    public static IEndpointRouteBuilder MapModels(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/models").WithTags("Models");
        group.MapGet("", ListAsync).WithName("ListModels").WithSummary("List the models.");
        // Model ids contain slashes: Qwen/Qwen3-0.6B.
        group.MapGet("{**model}", GetAsync).WithName("GetModel").WithSummary("Read one model.");
        return routes;
    }

    private static async Task ListAsync(HttpContext context, VllmClient vllm, IOptions<VllmOptions> options, TimeProvider time)
    {
        var list = await AskAsync(vllm, options, time, context.RequestAborted);
        context.Response.ContentType = "application/json";
        await context.SendAsync(list);
    }

    // From the list, because vLLM has no route for one model.
    private static async Task<IResult> GetAsync(
        string model, VllmClient vllm, IOptions<VllmOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        // The official SDKs escape the slash, and Kestrel leaves just that escape alone.
        var id = model.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        var list = Parse(await AskAsync(vllm, options, time, cancellationToken));
        var found = list?.Data?.FirstOrDefault(entry => entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty("id", out var name) && name.ValueKind == JsonValueKind.String && name.ValueEquals(id));
        return found is { ValueKind: JsonValueKind.Object }
            ? Results.Text(found.Value.GetRawText(), "application/json")
            : throw new OpenAIErrorException(new OpenAIError(
                StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "model_not_found", $"The model '{id}' does not exist. List them with GET /v1/models.", "model"));
    }

    /// <exception cref="OpenAIErrorException">The model server does not answer, refuses, or answers something else.</exception>
    private static async Task<ReadOnlyMemory<byte>> AskAsync(VllmClient vllm, IOptions<VllmOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        var answer = await vllm.GetAsync("v1/models", cancellationToken);
        if (answer.Error is { } error)
        {
            throw new OpenAIErrorException(error);
        }

        cancellationToken.ThrowIfCancellationRequested();
        using var response = answer.Response!;
        var limit = options.Value.IdleTimeout;
        if (!response.IsSuccessStatusCode)
        {
            throw new OpenAIErrorException((await UpstreamErrors.ReadAsync(response, limit, time, cancellationToken)).Error);
        }

        using var timedOut = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timedOut.Token, cancellationToken);
        try
        {
            await response.Content.LoadIntoBufferAsync(MaxListBytes, either.Token);
            var list = await response.Content.ReadAsByteArrayAsync(either.Token);
            _ = Parse(list);
            return list;
        }
        catch (OperationCanceledException) when (timedOut.IsCancellationRequested)
        {
            throw new OpenAIErrorException(UpstreamErrors.TimedOut(limit));
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException or JsonException)
        {
            throw new OpenAIErrorException(UpstreamErrors.NotAList());
        }
    }

    private static ModelList? Parse(ReadOnlyMemory<byte> list) => JsonSerializer.Deserialize(list.Span, ModelsJsonContext.Default.ModelList);
}

internal sealed record ModelList([property: JsonPropertyName("data")] JsonElement[]? Data);

[JsonSerializable(typeof(ModelList))]
internal sealed partial class ModelsJsonContext : JsonSerializerContext;
