using System.ComponentModel.DataAnnotations;

namespace ChatHistory.StorageService.Writing;

internal sealed class WriterOptions
{
    public const string Section = "Writer";

    /// <summary>Most commands in one transaction: bounds how long the last one waits for the first one's sake.</summary>
    [Range(1, 100_000)]
    public int MaxBatch { get; set; } = 512;

    /// <summary>Most calls that may wait; one more is refused at once.</summary>
    [Range(1, 1_000_000)]
    public int MaxQueuedCalls { get; set; } = 8192;

    /// <summary>Most bytes of requests that may wait, because one message may hold images.</summary>
    [Range(1024, long.MaxValue)]
    public long MaxQueuedBytes { get; set; } = 256L * 1024 * 1024;
}
