using System.ComponentModel.DataAnnotations;

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
}
