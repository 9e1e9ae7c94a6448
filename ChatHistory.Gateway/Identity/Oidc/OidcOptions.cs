namespace ChatHistory.Gateway.Identity.Oidc;

/// <summary>Whose tokens are accepted beside API keys; section <c>Identity:Oidc</c>.</summary>
internal sealed class OidcOptions
{
    /// <summary>The issuer, e.g. <c>https://login.example.org/realms/chat</c>; blank: no tokens. Its discovery document lies below it.</summary>
    public string? Authority { get; init; }

    /// <summary>For whom a token must have been made (<c>aud</c>). Needed: without it, a token for any other service of the issuer would open this one.</summary>
    public string? Audience { get; init; }

    /// <summary>The claim that names the owner. It must never be given to somebody else later; <c>sub</c> is made for that, <c>email</c> is not.</summary>
    public string OwnerClaim { get; init; } = "sub";

    /// <summary>The claim that makes an administrator on the admin listener, e.g. <c>roles</c>; blank: no token does.</summary>
    public string? AdminClaim { get; init; }

    /// <summary>Its value, e.g. <c>chathistory-admin</c>.</summary>
    public string? AdminValue { get; init; }

    /// <summary>Allows an authority on plain HTTP, for one on this machine.</summary>
    public bool AllowHttp { get; init; }

    public bool IsOn => !string.IsNullOrWhiteSpace(Authority);

    /// <summary>What is wrong with it; null when nothing is.</summary>
    public string? Fault()
    {
        if (!IsOn)
        {
            return null;
        }

        if (!Uri.TryCreate(Authority, UriKind.Absolute, out var authority) || authority.Scheme is not ("http" or "https") || authority.Query.Length > 0)
        {
            return $"Identity:Oidc:Authority is '{Authority}'; it must be the issuer's address, such as https://login.example.org/realms/chat.";
        }

        if (authority.Scheme == "http" && !AllowHttp && !authority.IsLoopback)
        {
            return "Identity:Oidc:Authority is on plain HTTP, where anybody in between could make tokens. Use https, or set Identity:Oidc:AllowHttp to true if this is meant.";
        }

        if (string.IsNullOrWhiteSpace(Audience))
        {
            return "Identity:Oidc:Audience is blank. Set it to what the tokens for this gateway have as \"aud\": without it a token for any other service would open this one.";
        }

        return string.IsNullOrWhiteSpace(OwnerClaim) ? "Identity:Oidc:OwnerClaim is blank. Name the claim that says whose conversations they are; sub is made for it."
            : string.IsNullOrWhiteSpace(AdminClaim) != string.IsNullOrWhiteSpace(AdminValue) ? "Identity:Oidc:AdminClaim and AdminValue are needed together, or neither."
            : null;
    }
}
