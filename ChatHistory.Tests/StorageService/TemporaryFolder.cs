namespace ChatHistory.Tests.StorageService;

internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("chathistory-").FullName;

    public string DatabasePath => System.IO.Path.Combine(Path, "chat.db");

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
