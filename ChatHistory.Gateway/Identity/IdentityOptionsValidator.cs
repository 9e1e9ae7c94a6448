using System.Net;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Identity;

/// <summary>Refuses to start an open gateway, or any admin listener, where others can reach it, and an admin key that can be guessed.</summary>
internal sealed class IdentityOptionsValidator(IConfiguration configuration) : IValidateOptions<IdentityOptions>
{
    private const int MinAdminKeyLength = 16;

    public ValidateOptionsResult Validate(string? name, IdentityOptions options)
    {
        string[] failures = [.. new[] { AdminKeyFault(options), PersonalModeFault(options), AdminListenerFault(options), options.Oidc.Fault() }.OfType<string>()];
        return failures.Length == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    private static string? AdminKeyFault(IdentityOptions options) =>
        options.HasAdminKey && options.AdminKey!.Length < MinAdminKeyLength
            ? $"Identity:AdminKey has {options.AdminKey.Length} characters; at least {MinAdminKeyLength} are needed. Make one with: openssl rand -hex 32"
            : null;

    private string? PersonalModeFault(IdentityOptions options)
    {
        var exposed = options.HasAdminKey || options.Oidc.IsOn || options.AllowPersonalModeBeyondLoopback
            ? []
            : Exposed(options.PublishedOn, endpoint => endpoint != AdminListener.Name);
        return exposed.Length == 0
            ? null
            : $"Without an admin key the gateway is in personal mode, where everybody who reaches it reads every conversation, and it would listen on {string.Join(", ", exposed)}. "
            + "Set Identity:AdminKey and make API keys, or listen on 127.0.0.1 only (Kestrel:Endpoints:http:Url), or set Identity:AllowPersonalModeBeyondLoopback to true if this is meant.";
    }

    private string? AdminListenerFault(IdentityOptions options)
    {
        var exposed = options.AllowAdminBeyondLoopback ? [] : Exposed(options.AdminPublishedOn, endpoint => endpoint == AdminListener.Name);
        return exposed.Length == 0
            ? null
            : $"The admin listener, where keys and backups are managed, would listen on {string.Join(", ", exposed)}. Listen on 127.0.0.1 (Kestrel:Endpoints:admin:Url) and reach it "
            + "through a tunnel; in a container, publish its port on the host's loopback and say so with Identity:AdminPublishedOn; or set Identity:AllowAdminBeyondLoopback to true if this is meant.";
    }

    // In a container only the address on the host says who can come.
    private string[] Exposed(string? publishedOn, Func<string, bool> isMeant) =>
    [
        .. (string.IsNullOrWhiteSpace(publishedOn)
            ? configuration.GetSection("Kestrel:Endpoints").GetChildren()
                .Where(endpoint => isMeant(endpoint.Key.ToLowerInvariant()))
                .Select(endpoint => endpoint["Url"])
                .OfType<string>()
                .Select(url => BindingAddress.Parse(url).Host)
            : [publishedOn]).Where(address => !IsLoopback(address)),
    ];

    private static bool IsLoopback(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
}
