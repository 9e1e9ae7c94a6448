namespace ChatHistory.Gateway.PassThrough;

/// <summary>
/// One route of vLLM that callers may reach. This list is the whole of it: whatever vLLM serves beside it (its metrics, its adapters, its
/// sleep and profiling switches) has no route here, and each target is the path written below, never one that a caller wrote.
/// </summary>
/// <param name="Path">The path here and at the model server, letter for letter.</param>
/// <param name="IsJson">False for the routes that take a form with a file.</param>
internal sealed record PassThroughRoute(string Path, string Name, string Summary, bool IsJson = true)
{
    public static IReadOnlyList<PassThroughRoute> All { get; } =
    [
        new("/v1/embeddings", "CreateEmbedding", "Turn text into vectors."),
        new("/v1/completions", "CreateCompletion", "Complete a text, without a chat and without history."),
        new("/v1/audio/transcriptions", "CreateTranscription", "Write down what is said in a recording.", IsJson: false),
        new("/v1/audio/translations", "CreateTranslation", "Write down in English what is said in a recording.", IsJson: false),
        new("/v1/score", "CreateScoreV1", "Score pairs of texts, as /score."),
        new("/v1/rerank", "RerankV1", "Order documents by relevance (Jina's shape)."),
        new("/v2/rerank", "RerankV2", "Order documents by relevance (Cohere's shape)."),
        new("/rerank", "Rerank", "Order documents by relevance, as /v1/rerank."),
        new("/score", "CreateScore", "Score pairs of texts."),
        new("/pooling", "CreatePooling", "The pooled hidden states of a text."),
        new("/classify", "Classify", "Classify a text."),
        new("/tokenize", "Tokenize", "Turn a prompt or messages into tokens."),
        new("/detokenize", "Detokenize", "Turn tokens into text."),
    ];
}
