using ChatHistory.Tests.Gateway.Oidc;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>A running system that asks for API keys, or for the tokens of a local issuer.</summary>
public sealed class KeyedSystem : IAsyncLifetime
{
    private LocalAuthority? _authority;
    private RunningSystem? _system;

    internal RunningSystem Running => _system!;

    /// <summary>Without a key.</summary>
    internal HttpClient Client => _system!.Client;

    internal SimulatorProbe Simulator { get; private set; } = null!;

    /// <summary>With the admin key, on the admin listener.</summary>
    internal HttpClient Admin { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _authority = await LocalAuthority.StartAsync();
        _system = await RunningSystem.StartAsync(settings:
        [
            ("Identity__Oidc__Authority", _authority.IssuerInTokens),
            ("Identity__Oidc__Audience", OidcSystem.Audience),
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
        await _authority!.DisposeAsync();
    }

    /// <summary>With a token that names this subject.</summary>
    internal HttpClient ClientWithToken(string subject) => _system!.ClientWith(_authority!.Token(new
    {
        iss = _authority.IssuerInTokens,
        aud = OidcSystem.Audience,
        sub = subject,
        exp = TimeProvider.System.GetUtcNow().AddHours(1).ToUnixTimeSeconds(),
    }));
}
