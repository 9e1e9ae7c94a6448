using System.Net;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Identity;

/// <summary>Refuses to start an open gateway where others can reach it, and an admin key that can be guessed.</summary>
internal sealed class IdentityOptionsValidator(IConfiguration configuration) : IValidateOptions<IdentityOptions>
{
    private const int MinAdminKeyLength = 16;

    public ValidateOptionsResult Validate(string? name, IdentityOptions options)
    {
        if (options.HasAdminKey)
        {
            return options.AdminKey!.Length >= MinAdminKeyLength
                ? ValidateOptionsResult.Success
                : ValidateOptionsResult.Fail(
                    $"Identity:AdminKey has {options.AdminKey.Length} characters; at least {MinAdminKeyLength} are needed. Make one with: openssl rand -hex 32");
        }

        if (options.AllowPersonalModeBeyondLoopback)
        {
            return ValidateOptionsResult.Success;
        }

        var exposed = ListenAddresses(options).Where(address => !IsLoopback(address)).ToArray();
        return exposed.Length == 0
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(
                $"Without an admin key the gateway is in personal mode, where everybody who reaches it reads every conversation, and it would listen on {string.Join(", ", exposed)}. "
                + "Set Identity:AdminKey and make API keys, or listen on 127.0.0.1 only (Kestrel:Endpoints:http:Url), or set Identity:AllowPersonalModeBeyondLoopback to true if this is meant.");
    }

    private IEnumerable<string> ListenAddresses(IdentityOptions options) =>
        string.IsNullOrWhiteSpace(options.PublishedOn)
            ? configuration.GetSection("Kestrel:Endpoints").GetChildren()
                .Select(endpoint => endpoint["Url"])
                .OfType<string>()
                .Select(url => BindingAddress.Parse(url).Host)
            : [options.PublishedOn];

    private static bool IsLoopback(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
}
