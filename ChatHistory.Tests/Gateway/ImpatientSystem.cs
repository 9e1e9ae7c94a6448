using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>A system whose gateway waits only briefly for its model server, and for storage before a turn.</summary>
public sealed class ImpatientSystem : IAsyncLifetime
{
    private RunningSystem? _system;

    internal RunningSystem Running => _system!;

    internal HttpClient Client => _system!.Client;

    internal SimulatorProbe Simulator { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _system = await RunningSystem.StartAsync(settings: [("Vllm__ResponseTimeout", "00:00:03"), ("Vllm__IdleTimeout", "00:00:03"), ("Storage__BeginPatience", "00:00:01")]);
        Simulator = new SimulatorProbe(_system.Simulator!);
    }

    public async Task DisposeAsync()
    {
        Simulator.Dispose();
        await _system!.DisposeAsync();
    }
}
