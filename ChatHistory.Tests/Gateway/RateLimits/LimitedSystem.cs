using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway.RateLimits;

/// <summary>A running system that asks for API keys and has limits: few wrong keys, small messages, a default for every key.</summary>
public sealed class LimitedSystem : IAsyncLifetime
{
    public const int WrongKeys = 20;

    private RunningSystem? _running;

    internal RunningSystem Running => _running!;

    internal HttpClient Admin { get; private set; } = null!;

    internal SimulatorProbe Simulator { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _running = await RunningSystem.StartAsync(settings:
        [
            ("Identity__AdminKey", RunningSystem.AdminKey),
            ("Limits__WrongKeysPerMinute", $"{WrongKeys}"),
            ("Limits__PerKey__ConcurrentTurns", "40"),
            ("Limits__MaxMessages", "50"),
            ("Limits__MaxMessageBytes", "20000"),
            ("Limits__MaxTools", "5"),
        ]);
        Admin = _running.Administrator();
        Simulator = new SimulatorProbe(_running.Simulator!);
    }

    /// <summary>A client with a new key, and the key's id.</summary>
    internal async Task<(HttpClient Client, string KeyId)> ClientWithAsync(string limits, string? user = null)
    {
        var made = await Admin.PostJsonAsync("/admin/keys", $$"""{"user_id":"{{user ?? $"u-{Guid.NewGuid():N}"}}","limits":{{limits}}}""");
        Assert.True(made.Status == System.Net.HttpStatusCode.Created, made.Text);
        return (Running.ClientWith(made.Body.GetProperty("key").GetString()!), made.Body.GetProperty("key_id").GetString()!);
    }

    public async Task DisposeAsync()
    {
        Admin.Dispose();
        Simulator.Dispose();
        await _running!.DisposeAsync();
    }
}
