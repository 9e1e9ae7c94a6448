namespace ChatHistory.Gateway.Telemetry;

/// <summary>
/// Names of the OpenTelemetry semantic conventions for generative AI, v1.41. This is the one file to change when they do (they are moving to
/// open-telemetry/semantic-conventions-genai).
/// </summary>
internal static class GenAI
{
    public const string OperationChat = "chat";
    public const string ProviderVllm = "vllm";

    public const string OperationName = "gen_ai.operation.name";
    public const string ProviderName = "gen_ai.provider.name";
    public const string ConversationId = "gen_ai.conversation.id";
    public const string InputMessages = "gen_ai.input.messages";
    public const string OutputMessages = "gen_ai.output.messages";
    public const string TokenType = "gen_ai.token.type";
    public const string ServerAddress = "server.address";
    public const string ServerPort = "server.port";
    public const string ErrorType = "error.type";

    /// <summary>Switches message content in telemetry on; off by default.</summary>
    public const string CaptureContentVariable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

    internal static class Request
    {
        public const string Model = "gen_ai.request.model";
        public const string Stream = "gen_ai.request.stream";
        public const string MaxTokens = "gen_ai.request.max_tokens";
        public const string Temperature = "gen_ai.request.temperature";
        public const string TopP = "gen_ai.request.top_p";
        public const string Seed = "gen_ai.request.seed";
        public const string ChoiceCount = "gen_ai.request.choice.count";
    }

    internal static class Response
    {
        public const string Id = "gen_ai.response.id";
        public const string Model = "gen_ai.response.model";
        public const string FinishReasons = "gen_ai.response.finish_reasons";
    }

    internal static class Usage
    {
        public const string InputTokens = "gen_ai.usage.input_tokens";
        public const string OutputTokens = "gen_ai.usage.output_tokens";
    }

    internal static class Metrics
    {
        public const string OperationDuration = "gen_ai.client.operation.duration";
        public const string TokenUsage = "gen_ai.client.token.usage";
        public const string TimeToFirstChunk = "gen_ai.client.operation.time_to_first_chunk";
        public const string TimePerOutputChunk = "gen_ai.client.operation.time_per_output_chunk";

        /// <summary>Buckets in seconds, doubling from 10 ms.</summary>
        public static readonly double[] Seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

        /// <summary>Buckets in tokens, powers of 4.</summary>
        public static readonly int[] Tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];
    }
}
