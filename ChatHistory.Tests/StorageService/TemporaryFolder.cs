namespace ChatHistory.Tests.StorageService;

internal sealed class TemporaryFolder : IDisposable
{
    private const string Memory = "/dev/shm";

    public TemporaryFolder()
        : this(System.IO.Path.GetTempPath())
    {
    }

    private TemporaryFolder(string parent) => Path = Directory.CreateDirectory(System.IO.Path.Combine(parent, $"chathistory-{Guid.NewGuid():N}")).FullName;

    public string Path { get; }

    public string DatabasePath => System.IO.Path.Combine(Path, "chat.db");

    /// <summary>For many small files whose being on disk nobody asks about: in memory, where the machine has that.</summary>
    public static TemporaryFolder InMemory() => Directory.Exists(Memory) ? new TemporaryFolder(Memory) : new TemporaryFolder();

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
