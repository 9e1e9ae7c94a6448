namespace ChatHistory.StorageService.Database;

/// <summary>The database cannot be used. The message is for the person who operates the service: what is wrong, and what to do.</summary>
internal sealed class DatabaseStartException(string message, Exception? innerException = null) : Exception(message, innerException);
