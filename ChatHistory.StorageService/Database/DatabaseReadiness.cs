namespace ChatHistory.StorageService.Database;

/// <summary>Whether calls can be served. Set by <see cref="DatabaseInitializer"/>, and while a restore swaps the file.</summary>
internal sealed class DatabaseReadiness
{
    private volatile string? _notReadyBecause = "The storage service is starting.";

    /// <summary>Why calls cannot be served now; null when they can.</summary>
    public string? NotReadyBecause => _notReadyBecause;

    public void Ready() => _notReadyBecause = null;

    public void NotReady(string because) => _notReadyBecause = because;
}
