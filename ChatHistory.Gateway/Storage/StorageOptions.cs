using System.ComponentModel.DataAnnotations;

namespace ChatHistory.Gateway.Storage;

/// <summary>How long a storage service that restarts is waited for; section <c>Storage</c>.</summary>
internal sealed class StorageOptions
{
    public const string Section = "Storage";

    /// <summary>Before the model is called. Then the request ends with 503 <c>storage_unavailable</c>, and nothing was spent.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan BeginPatience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>At the end of an answer: longer, because the model's work would be lost.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan CompletePatience { get; init; } = TimeSpan.FromSeconds(30);
}
