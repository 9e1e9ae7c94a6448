using System.ComponentModel.DataAnnotations;

namespace ChatHistory.Gateway.Context;

/// <summary>How stored history is fitted into the model's window; section <c>Context</c>.</summary>
internal sealed class ContextOptions
{
    public const string Section = "Context";

    /// <summary>
    /// The window in tokens, prompt and answer together, instead of the model's own. For servers that do not tell theirs (llama.cpp, Ollama):
    /// without it nothing is left out there.
    /// </summary>
    [Range(256, 100_000_000)]
    public int? MaxTokens { get; init; }

    /// <summary>Room that is kept for the answer when the request sets no limit itself; at most a quarter of the window.</summary>
    [Range(1, 1_000_000)]
    public int AnswerReserve { get; init; } = 1024;

    /// <summary>The longest to wait for one count of tokens. Then the estimate has to do, and the usage of an aborted answer stays unknown.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:01:00")]
    public TimeSpan CountTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the models' windows are remembered before they are asked for again.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan WindowMemory { get; init; } = TimeSpan.FromMinutes(5);
}
