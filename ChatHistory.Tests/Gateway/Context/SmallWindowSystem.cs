using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway.Context;

/// <summary>A system whose model has a small window, so that some turns fill it.</summary>
public sealed class SmallWindowSystem : IAsyncLifetime
{
    public const int Window = 1000;

    private RunningSystem? _system;

    internal RunningSystem Running => _system!;

    internal HttpClient Client => _system!.Client;

    internal SimulatorProbe Simulator { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _system = await RunningSystem.StartAsync(settings: [("Simulator__MaxModelLen", $"{Window}"), ("Simulator__RecordedRequests", "100000")]);
        Simulator = new SimulatorProbe(_system.Simulator!);
    }

    public async Task DisposeAsync()
    {
        Simulator.Dispose();
        await _system!.DisposeAsync();
    }
}
