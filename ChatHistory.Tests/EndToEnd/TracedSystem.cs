using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>A running system whose services export their telemetry to the test.</summary>
public sealed class TracedSystem : IAsyncLifetime
{
    internal OtlpReceiver Receiver { get; private set; } = null!;

    internal RunningSystem Running { get; private set; } = null!;

    internal HttpClient Client => Running.Client;

    public async Task InitializeAsync()
    {
        Receiver = await OtlpReceiver.StartAsync();
        Running = await RunningSystem.StartAsync(settings:
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", Receiver.Address.ToString()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ]);
    }

    public async Task DisposeAsync()
    {
        await Running.DisposeAsync();
        await Receiver.DisposeAsync();
    }
}
