using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>One running system in personal mode, shared by the tests of a class, which keep apart by user.</summary>
public sealed class PersonalSystem : IAsyncLifetime
{
    private RunningSystem? _system;

    internal RunningSystem Running => _system!;

    internal HttpClient Client => _system!.Client;

    internal SimulatorProbe Simulator { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _system = await RunningSystem.StartAsync();
        Simulator = new SimulatorProbe(_system.Simulator!);
    }

    public async Task DisposeAsync()
    {
        Simulator.Dispose();
        await _system!.DisposeAsync();
    }
}
