namespace ChatHistory.Bench.Targets;

/// <summary>Something that answers POST /v1/chat/completions, with the processes that do it.</summary>
/// <param name="Name">As the tables name it.</param>
/// <param name="Headers">What a request to it needs.</param>
internal sealed record Target(string Name, int Port, IReadOnlyDictionary<string, string> Headers, IReadOnlyList<ChildProcess> Processes) : IAsyncDisposable
{
    public const string Direct = "direct";
    public const string Nginx = "nginx";
    public const string Yarp = "yarp";
    public const string Portkey = "portkey";
    public const string Product = "ChatHistory";

    public TimeSpan Cpu => Processes.Aggregate(TimeSpan.Zero, (sum, process) => sum + process.Cpu);

    public double RssMegabytes => Processes.Sum(process => process.RssBytes) / 1048576.0;

    // The gateway before the storage service: its turns are committed there before it goes.
    public async ValueTask DisposeAsync()
    {
        foreach (var process in Processes.Reverse())
        {
            await process.DisposeAsync();
        }
    }
}
