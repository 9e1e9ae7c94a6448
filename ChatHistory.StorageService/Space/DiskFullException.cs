namespace ChatHistory.StorageService.Space;

/// <summary>Not tried, because the disk is full and what is left is kept for deleting.</summary>
internal sealed class DiskFullException() : Exception("The disk is full, and what is left is kept for deleting.");
