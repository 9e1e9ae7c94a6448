using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.Errors;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator.Models;

/// <summary>The one model that is served.</summary>
internal static class ModelsEndpoints
{
    public static void MapModels(this IEndpointRouteBuilder routes)
    {
        var options = routes.ServiceProvider.GetRequiredService<IOptions<SimulatorOptions>>().Value;
        var created = routes.ServiceProvider.GetRequiredService<TimeProvider>().GetUtcNow().ToUnixTimeSeconds();
        var model = new ModelCard(
            options.Model,
            created,
            options.MaxModelLen,
            [new ModelPermission($"modelperm-{Guid.NewGuid():N}", created)]);

        routes.MapGet("/v1/models", () => TypedResults.Json(new ModelList([model]), ModelsJsonContext.Wire.ModelList));

        // vLLM has no such route; the official SDKs do (models.retrieve). A model's name has slashes.
        routes.MapGet("/v1/models/{**id}", async (string id, HttpContext context) =>
        {
            if (id == model.Id)
            {
                await TypedResults.Json(model, ModelsJsonContext.Wire.ModelCard).ExecuteAsync(context);
            }
            else
            {
                await VllmError.UnknownModel(id).WriteAsync(context);
            }
        });
    }
}

internal sealed record ModelList(IReadOnlyList<ModelCard> Data)
{
    [JsonPropertyOrder(-1)]
    public string Object { get; } = "list";
}

/// <summary>vLLM's <c>ModelCard</c>.</summary>
internal sealed record ModelCard(
    [property: JsonPropertyOrder(0)] string Id,
    [property: JsonPropertyOrder(2)] long Created,
    [property: JsonPropertyOrder(6)] int MaxModelLen,
    [property: JsonPropertyOrder(7)] IReadOnlyList<ModelPermission> Permission)
{
    [JsonPropertyOrder(1)]
    public string Object { get; } = "model";

    [JsonPropertyOrder(3)]
    public string OwnedBy { get; } = SimulatorApplication.Fingerprint;

    [JsonPropertyOrder(4)]
    public string Root => Id;

    [JsonPropertyOrder(5)]
    public string? Parent { get; }
}

/// <summary>vLLM's <c>ModelPermission</c>, which old OpenAI clients read.</summary>
internal sealed record ModelPermission([property: JsonPropertyOrder(0)] string Id, [property: JsonPropertyOrder(2)] long Created)
{
    [JsonPropertyOrder(1)]
    public string Object { get; } = "model_permission";

    [JsonPropertyOrder(3)]
    public bool AllowCreateEngine { get; }

    [JsonPropertyOrder(4)]
    public bool AllowSampling { get; } = true;

    [JsonPropertyOrder(5)]
    public bool AllowLogprobs { get; } = true;

    [JsonPropertyOrder(6)]
    public bool AllowSearchIndices { get; }

    [JsonPropertyOrder(7)]
    public bool AllowView { get; } = true;

    [JsonPropertyOrder(8)]
    public bool AllowFineTuning { get; }

    [JsonPropertyOrder(9)]
    public string Organization { get; } = "*";

    [JsonPropertyOrder(10)]
    public string? Group { get; }

    [JsonPropertyOrder(11)]
    public bool IsBlocking { get; }
}

[JsonSerializable(typeof(ModelList))]
internal sealed partial class ModelsJsonContext : JsonSerializerContext
{
    public static ModelsJsonContext Wire { get; } = new(Json.NewOptions());
}
