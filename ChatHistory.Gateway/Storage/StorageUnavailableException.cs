using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Storage;

/// <summary>The storage service did not take a write in time, or cannot write. Nothing of the write was acknowledged.</summary>
internal sealed class StorageUnavailableException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What the client is told.</summary>
    public OpenAIError Error { get; init; } = OpenAIError.StorageUnavailable();
}
