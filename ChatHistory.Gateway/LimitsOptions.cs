using System.ComponentModel.DataAnnotations;
using ChatHistory.Gateway.RateLimits;

namespace ChatHistory.Gateway;

/// <summary>What the gateway accepts; section <c>Limits</c>.</summary>
internal sealed class LimitsOptions
{
    public const string Section = "Limits";

    /// <summary>Largest request body in bytes, at most 64 MiB: storage takes more than twice of that in one write. Images travel inside it, as base64.</summary>
    [Range(1024, 64L * 1024 * 1024)]
    public long MaxRequestBodyBytes { get; init; } = 32L * 1024 * 1024;

    /// <summary>Most connections at once.</summary>
    [Range(1, 1_000_000)]
    public long MaxConnections { get; init; } = 10_000;

    /// <summary>
    /// Most answers that may be under way at once; one more gets 503 <c>overloaded</c>. Twice as many as vLLM works on side by side by default
    /// (<c>--max-num-seqs 256</c>): one batch runs, one waits.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxConcurrentTurns { get; init; } = 512;

    /// <summary>The same for the routes that pass through unstored (embeddings, rerank, ...).</summary>
    [Range(1, 1_000_000)]
    public int MaxConcurrentPassThrough { get; init; } = 512;

    /// <summary>A request's head is complete after this, and on a new connection it has begun. Longer than it takes to send a lost packet again.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan HeadTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// On SIGTERM: how long answers that are under way may take to end. What has come of them is committed after it, so a container engine's own patience
    /// (<c>stop_grace_period</c>) has to be some seconds longer.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client may take nothing of what waits for it. Then its connection is cut, and it counts as one that has left.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan ClientStallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Wrong keys that an address may send in a minute before it is told to wait; 0 for any number. Right keys are never asked about it.</summary>
    [Range(0, 1_000_000)]
    public int WrongKeysPerMinute { get; init; } = 100;

    /// <summary>Most messages in one request.</summary>
    [Range(1, 1_000_000)]
    public int MaxMessages { get; init; } = 20_000;

    /// <summary>Largest message (or item of a response's input) in bytes of its JSON.</summary>
    [Range(1024, 64 * 1024 * 1024)]
    public int MaxMessageBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>Most tools that a request may offer to the model.</summary>
    [Range(1, 10_000)]
    public int MaxTools { get; init; } = 512;

    /// <summary>What a key may whose own limits say nothing, and the owner of a token; without a value, as much as it wants.</summary>
    public KeyLimits PerKey { get; init; } = new();
}
