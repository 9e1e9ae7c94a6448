using System.ComponentModel.DataAnnotations;

namespace ChatHistory.Gateway.Paths;

/// <summary>How much of what sessions said last is kept in memory; section <c>PathCache</c>.</summary>
internal sealed class PathCacheOptions
{
    public const string Section = "PathCache";

    /// <summary>The most that all paths may take together, in bytes. 0: none is kept, and storage sends the history with every turn.</summary>
    [Range(0, 64L * 1024 * 1024 * 1024)]
    public long MaxBytes { get; init; } = 128L * 1024 * 1024;

    /// <summary>A shorter path is not kept: to send it again costs little, and most sessions that are as short never go on, so they would only take the place of others.</summary>
    [Range(0, 1024 * 1024)]
    public int MinBytes { get; init; } = 4 * 1024;

    /// <summary>A path that nobody has continued for so long is let go.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan IdleTime { get; init; } = TimeSpan.FromMinutes(10);
}
