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

    /// <summary>YARP with the telemetry that all services of the product have, and a key.</summary>
    public const string YarpTelemetry = "yarp, telemetry";

    /// <summary>The product's gateway with a storage that keeps nothing.</summary>
    public const string GatewayAlone = "gateway alone";

    /// <summary>The product's gateway with a storage that only appends what comes to a log.</summary>
    public const string LogOnly = "gateway, log";

    /// <summary>Those of its processes whose time and memory are its own.</summary>
    public IReadOnlyList<ChildProcess> Counted { get; init; } = Processes;

    public TimeSpan Cpu => Counted.Aggregate(TimeSpan.Zero, (sum, process) => sum + process.Cpu);

    public double RssMegabytes => Counted.Sum(process => process.RssBytes) / 1048576.0;

    // The gateway before the storage service: its turns are committed there before it goes.
    public async ValueTask DisposeAsync()
    {
        foreach (var process in Processes.Reverse())
        {
            await process.DisposeAsync();
        }
    }
}
