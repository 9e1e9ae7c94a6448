using ChatHistory.Bench.Targets;
using Grpc.Net.Client;

namespace ChatHistory.Bench.Storage;

/// <summary>The storage service as a process of its own, started the way it is deployed, on a volume of ours.</summary>
internal sealed class StorageProcess(ChildProcess process, GrpcChannel channel, TimeSpan readyAfter) : IAsyncDisposable
{
    public GrpcChannel Channel => channel;

    public double RssMegabytes => process.RssBytes / 1048576.0;

    /// <summary>Processor time so far.</summary>
    public TimeSpan Cpu => process.Cpu;

    /// <summary>From the start of the process until <c>/health</c> says yes.</summary>
    public TimeSpan ReadyAfter => readyAfter;

    /// <summary>Starts it and waits until it is ready.</summary>
    /// <param name="volume">Its folder; the database is <c>db/chat.db</c> in it.</param>
    /// <param name="settings">More of its settings, as environment variables.</param>
    public static async Task<StorageProcess> StartAsync(string volume, IReadOnlyDictionary<string, string> settings)
    {
        Directory.CreateDirectory(volume);
        var (grpcPort, healthPort) = (ChildProcess.FreePort(), ChildProcess.FreePort());
        // Another build of the service can be measured with the same harness.
        var assembly = Environment.GetEnvironmentVariable("BENCH_STORAGE_SERVICE")
            ?? Path.Combine(Programs.RepositoryRoot, "ChatHistory.StorageService", "bin", "Release", "net10.0", "ChatHistory.StorageService.dll");
        var process = ChildProcess.Start(Path.Combine(volume, "console.log"), "dotnet", [assembly], new Dictionary<string, string>(settings)
        {
            ["VOLUME_DIR"] = volume,
            ["Kestrel__Endpoints__grpc__Url"] = $"http://127.0.0.1:{grpcPort}",
            ["Kestrel__Endpoints__http__Url"] = $"http://127.0.0.1:{healthPort}",
            ["DOTNET_GCgen0size"] = "400000",
        });
        var readyAfter = await process.WaitReadyAsync(healthPort, "/health");
        var channel = GrpcChannel.ForAddress(new Uri($"http://127.0.0.1:{grpcPort}"), new GrpcChannelOptions { MaxReceiveMessageSize = null, MaxSendMessageSize = null });
        return new StorageProcess(process, channel, readyAfter);
    }

    public Task KillAsync() => process.KillAsync();

    public async ValueTask DisposeAsync()
    {
        channel.Dispose();
        await process.DisposeAsync();
    }
}
