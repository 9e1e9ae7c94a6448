namespace ChatHistory.Bench.Storage;

/// <summary>A storage service with so many messages in it.</summary>
internal sealed class FilledStorage(string volume, History history, StorageProcess process) : IAsyncDisposable
{
    public string Volume => volume;

    public string DatabasePath => PathOf(volume);

    public History History => history;

    public StorageProcess Process => process;

    public HistoryReads Reads { get; } = new(process.Channel, history);

    public double Megabytes => new FileInfo(DatabasePath).Length / 1048576.0;

    public static async Task<FilledStorage> StartAsync(string folder, int messages, IReadOnlyDictionary<string, string> settings)
    {
        var (volume, history) = (Path.Combine(folder, $"history-{messages}"), new History(messages));
        if (!File.Exists(PathOf(volume)))
        {
            await using (await StorageProcess.StartAsync(volume, settings))
            {
                // It makes the file, with its schema, and goes.
            }

            Console.WriteLine($"  filling a database with {messages} messages");
            new Filler(history).Fill(PathOf(volume));
        }

        return new FilledStorage(volume, history, await StorageProcess.StartAsync(volume, settings));
    }

    public ValueTask DisposeAsync() => process.DisposeAsync();

    private static string PathOf(string volume) => Path.Combine(volume, "db", "chat.db");
}
