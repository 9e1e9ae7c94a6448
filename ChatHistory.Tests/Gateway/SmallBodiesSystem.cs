using System.Globalization;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>A running system whose gateway accepts only small bodies.</summary>
public sealed class SmallBodiesSystem : IAsyncLifetime
{
    public const int MaxBytes = 64 * 1024;

    private RunningSystem? _system;

    internal HttpClient Client => _system!.Client;

    public async Task InitializeAsync() =>
        _system = await RunningSystem.StartAsync(settings: ("Limits__MaxRequestBodyBytes", MaxBytes.ToString(CultureInfo.InvariantCulture)));

    public async Task DisposeAsync() => await _system!.DisposeAsync();
}
