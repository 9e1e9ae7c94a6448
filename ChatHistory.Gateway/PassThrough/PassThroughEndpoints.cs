using System.Text.Json.Nodes;
using ChatHistory.Gateway.Admission;

namespace ChatHistory.Gateway.PassThrough;

/// <summary>The other routes of vLLM, passed through. Nothing of them is stored.</summary>
internal static class PassThroughEndpoints
{
    public static IEndpointRouteBuilder MapPassThrough(this IEndpointRouteBuilder routes)
    {
        foreach (var route in PassThroughRoute.All)
        {
            var endpoint = routes.MapPost(route.Path, (HttpContext context, PassThroughHandler handler) => handler.ForwardAsync(context, route))
                .NeedsPlace(AdmissionKind.PassThrough)
                .WithTags("Pass-through").WithName(route.Name).WithSummary(route.Summary)
                .WithDescription($"Body and answer pass unchanged, as vLLM's POST {route.Path} describes them; errors have OpenAI's envelope. Nothing is stored.")
                .Produces<JsonObject>(StatusCodes.Status200OK, "application/json", "text/event-stream");
            if (route.IsJson)
            {
                endpoint.Accepts<JsonObject>("application/json");
            }
        }

        return routes;
    }
}
