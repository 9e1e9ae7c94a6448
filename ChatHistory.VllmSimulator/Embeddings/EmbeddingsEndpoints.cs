namespace ChatHistory.VllmSimulator.Embeddings;

internal static class EmbeddingsEndpoints
{
    public static void MapEmbeddings(this IEndpointRouteBuilder routes)
    {
        var handler = routes.ServiceProvider.GetRequiredService<EmbeddingHandler>();
        routes.MapPost("/v1/embeddings", (RequestDelegate)handler.HandleAsync);
    }
}
