using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway.Oidc;

/// <summary>A running system that accepts the tokens of a local issuer beside API keys.</summary>
public sealed class OidcSystem : IAsyncLifetime
{
    public const string Audience = "chathistory";

    internal LocalAuthority Authority { get; private set; } = null!;

    internal RunningSystem Running { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Authority = await LocalAuthority.StartAsync();
        Running = await RunningSystem.StartAsync(settings:
        [
            ("Identity__Oidc__Authority", Authority.IssuerInTokens),
            ("Identity__Oidc__Audience", Audience),
            ("Identity__Oidc__AdminClaim", "roles"),
            ("Identity__Oidc__AdminValue", "chathistory-admin"),
            ("Identity__AdminKey", RunningSystem.AdminKey),
            ("Limits__WrongKeysPerMinute", "0"),
            ("Limits__PerKey__RequestsPerMinute", "500"),
        ]);
    }

    public async Task DisposeAsync()
    {
        await Running.DisposeAsync();
        await Authority.DisposeAsync();
    }
}
