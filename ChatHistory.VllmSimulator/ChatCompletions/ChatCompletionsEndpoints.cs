namespace ChatHistory.VllmSimulator.ChatCompletions;

internal static class ChatCompletionsEndpoints
{
    public static void MapChatCompletions(this IEndpointRouteBuilder routes)
    {
        // A bare RequestDelegate: no binding, no result object per request.
        var handler = routes.ServiceProvider.GetRequiredService<ChatCompletionHandler>();
        routes.MapPost("/v1/chat/completions", (RequestDelegate)handler.HandleAsync);
    }
}
