using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>A running system that asks for API keys.</summary>
public sealed class KeyedSystem : IAsyncLifetime
{
    private RunningSystem? _system;

    internal RunningSystem Running => _system!;

    /// <summary>Without a key.</summary>
    internal HttpClient Client => _system!.Client;

    internal SimulatorProbe Simulator { get; private set; } = null!;

    /// <summary>With the admin key, on the admin listener.</summary>
    internal HttpClient Admin { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _system = await RunningSystem.StartAsync(settings:
        [
            ("Identity__AdminKey", RunningSystem.AdminKey),
            // Tests of this class send thousands of wrong keys.
            ("Limits__WrongKeysPerMinute", "0"),
        ]);
        Simulator = new SimulatorProbe(_system.Simulator!);
        Admin = _system.Administrator();
    }

    public async Task DisposeAsync()
    {
        Admin.Dispose();
        Simulator.Dispose();
        await _system!.DisposeAsync();
    }
}
