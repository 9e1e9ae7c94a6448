using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Upstream;

namespace ChatHistory.Gateway.Models;

/// <summary>The model server's own list of models, as it answers it.</summary>
internal static class ModelsEndpoints
{
    public static IEndpointRouteBuilder MapModels(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/models").WithTags("Models");
        group.MapGet("", (HttpContext context, VllmClient vllm) => PassAsync("v1/models", context, vllm))
            .WithName("ListModels").WithSummary("List the models.");
        // Model ids contain slashes: Qwen/Qwen3-0.6B.
        group.MapGet("{**model}", (string model, HttpContext context, VllmClient vllm) => PassAsync($"v1/models/{Escape(model)}", context, vllm))
            .WithName("GetModel").WithSummary("Read one model.");
        return routes;
    }

    private static async Task PassAsync(string path, HttpContext context, VllmClient vllm)
    {
        var cancellationToken = context.RequestAborted;
        var answer = await vllm.GetAsync(path, cancellationToken);
        if (answer.Error is { } error)
        {
            throw new OpenAIErrorException(error);
        }

        if (answer.Response is not { } response)
        {
            // The client has left.
            return;
        }

        using (response)
        {
            if (!response.IsSuccessStatusCode)
            {
                throw new OpenAIErrorException((await UpstreamErrors.ReadAsync(response, cancellationToken)).Error);
            }

            context.Response.ContentType = "application/json";
            await response.Content.CopyToAsync(context.Response.Body, cancellationToken);
        }
    }

    private static string Escape(string model) => string.Join('/', model.Split('/').Select(Uri.EscapeDataString));
}
