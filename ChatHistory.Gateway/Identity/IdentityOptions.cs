using ChatHistory.Gateway.Identity.Oidc;

namespace ChatHistory.Gateway.Identity;

/// <summary>Who may use the gateway; section <c>Identity</c>.</summary>
internal sealed class IdentityOptions
{
    public const string Section = "Identity";

    /// <summary>
    /// The bootstrap key that makes and revokes API keys under <c>/admin</c>. With it every request under /v1 needs an API key;
    /// without it (and as long as no API key was ever made) the gateway is in personal mode.
    /// </summary>
    public string? AdminKey { get; init; }

    /// <summary>Personal mode on an address beyond loopback is refused unless this is set: everybody who reaches the port reads everything.</summary>
    public bool AllowPersonalModeBeyondLoopback { get; init; }

    /// <summary>Names besides those of this machine under which a gateway in personal mode is reached, and whose pages may ask it (<see cref="WebPages"/>).</summary>
    public string[] AllowedHosts { get; init; } = [];

    /// <summary>
    /// The host's address on which a container's port is published. A process in a container has to listen on all of the container's
    /// addresses, so personal mode is judged by this one instead.
    /// </summary>
    public string? PublishedOn { get; init; }

    /// <summary>The same of the admin listener: the host's address on which a container publishes its port.</summary>
    public string? AdminPublishedOn { get; init; }

    /// <summary>The admin listener on an address beyond loopback is refused unless this is set: whoever reaches it needs only one key for everything.</summary>
    public bool AllowAdminBeyondLoopback { get; init; }

    /// <summary>Tokens that are accepted beside API keys. With them, too, there is no personal mode.</summary>
    public OidcOptions Oidc { get; init; } = new();

    public bool HasAdminKey => !string.IsNullOrWhiteSpace(AdminKey);

    /// <summary>The admin key's hash (<see cref="ApiKeyText.Hash"/>), which every request's key is compared with; null where there is no admin key.</summary>
    public byte[]? AdminKeyHash => field ??= HasAdminKey ? ApiKeyText.Hash(AdminKey!) : null;
}
