using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Upstream;

namespace ChatHistory.Gateway.Models;

/// <summary>The model server's own models: the list as it answers it, and one of them.</summary>
internal static class ModelsEndpoints
{
    public static IEndpointRouteBuilder MapModels(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/models").WithTags("Models");
        group.MapGet("", ListAsync).WithName("ListModels").WithSummary("List the models.");
        // Model ids contain slashes: Qwen/Qwen3-0.6B.
        group.MapGet("{**model}", GetAsync).WithName("GetModel").WithSummary("Read one model.");
        return routes;
    }

    private static async Task ListAsync(HttpContext context, VllmClient vllm)
    {
        var cancellationToken = context.RequestAborted;
        using var response = await AskAsync(vllm, cancellationToken);
        context.Response.ContentType = "application/json";
        await response.Content.CopyToAsync(context.Response.Body, cancellationToken);
    }

    // From the list, because vLLM has no route for one model.
    private static async Task<IResult> GetAsync(string model, VllmClient vllm, CancellationToken cancellationToken)
    {
        // The official SDKs escape the slash, and Kestrel leaves just that escape alone.
        var id = model.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        using var response = await AskAsync(vllm, cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var list = await JsonSerializer.DeserializeAsync(body, ModelsJsonContext.Default.ModelList, cancellationToken);
        var found = list?.Data?.FirstOrDefault(entry => entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty("id", out var name) && name.ValueKind == JsonValueKind.String && name.ValueEquals(id));
        return found is { ValueKind: JsonValueKind.Object }
            ? Results.Text(found.Value.GetRawText(), "application/json")
            : throw new OpenAIErrorException(new OpenAIError(
                StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "model_not_found", $"The model '{id}' does not exist. List them with GET /v1/models.", "model"));
    }

    /// <exception cref="OpenAIErrorException">The model server does not answer, or refuses.</exception>
    private static async Task<HttpResponseMessage> AskAsync(VllmClient vllm, CancellationToken cancellationToken)
    {
        var answer = await vllm.GetAsync("v1/models", cancellationToken);
        if (answer.Error is { } error)
        {
            throw new OpenAIErrorException(error);
        }

        cancellationToken.ThrowIfCancellationRequested();
        var response = answer.Response!;
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw new OpenAIErrorException((await UpstreamErrors.ReadAsync(response, cancellationToken)).Error);
        }
    }
}

internal sealed record ModelList([property: JsonPropertyName("data")] JsonElement[]? Data);

[JsonSerializable(typeof(ModelList))]
internal sealed partial class ModelsJsonContext : JsonSerializerContext;
