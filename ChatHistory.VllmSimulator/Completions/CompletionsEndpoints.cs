namespace ChatHistory.VllmSimulator.Completions;

internal static class CompletionsEndpoints
{
    public static void MapCompletions(this IEndpointRouteBuilder routes)
    {
        var handler = routes.ServiceProvider.GetRequiredService<CompletionHandler>();
        routes.MapPost("/v1/completions", (RequestDelegate)handler.HandleAsync);
    }
}
