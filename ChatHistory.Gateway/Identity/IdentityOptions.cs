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

    /// <summary>
    /// The host's address on which a container's port is published. A process in a container has to listen on all of the container's
    /// addresses, so personal mode is judged by this one instead.
    /// </summary>
    public string? PublishedOn { get; init; }

    /// <summary>
    /// Personal mode: more names under which the gateway is reached, beside localhost and loopback addresses, such as the name of its container on an
    /// inner network. See <see cref="PersonalModeGuard"/>.
    /// </summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    public bool HasAdminKey => !string.IsNullOrWhiteSpace(AdminKey);
}
