using System.Security.Claims;
using ChatHistory.Gateway.Errors;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Identity;

/// <summary>Who sent the request, and so whose data it may touch. Every storage call takes its <see cref="Scope"/> from here.</summary>
internal sealed class Caller
{
    /// <summary>The user that requests without any name belong to, in personal mode (the seed's first row).</summary>
    public const string DefaultUser = "default_user";

    private readonly string? _owner;
    private readonly string _unnamed;

    private Caller(string? owner, string unnamed, bool isTrustedProxy, CallerIdentity? identity)
    {
        Identity = identity;
        _owner = owner;
        _unnamed = unnamed;
        IsTrustedProxy = isTrustedProxy;
        Scope = owner is null ? new Scope { Everyone = true } : new Scope { Owner = owner };
        if (owner is not null && identity?.Limits.StoredBytes is { } storedBytes)
        {
            Scope.MaxStoredBytes = storedBytes;
        }
    }

    /// <summary>What is counted by, and the limits that are in force.</summary>
    public CallerIdentity? Identity { get; }

    public Scope Scope { get; }

    /// <summary>
    /// True when what the request's identity headers say may be believed (<see cref="UiHeaders"/>): the key was made for a UI, or it is personal
    /// mode, where everybody on this machine is one trust domain and may name any user in a body anyway.
    /// </summary>
    public bool IsTrustedProxy { get; }

    public static Caller From(ClaimsPrincipal user)
    {
        if (user.HasClaim(ApiKeyAuthentication.PersonalModeClaim, "true"))
        {
            return new Caller(owner: null, unnamed: user.FindFirstValue(ApiKeyAuthentication.UiUserClaim) ?? DefaultUser, isTrustedProxy: true, CallerIdentity.Of(user));
        }

        var owner = user.FindFirstValue(ClaimTypes.NameIdentifier) ?? throw new InvalidOperationException("an authenticated caller has an owner");
        return new Caller(owner, owner, user.HasClaim(ApiKeyAuthentication.TrustedProxyClaim, "true"), CallerIdentity.Of(user));
    }

    /// <summary>
    /// The user whom a request is about. With an API key that is the key's owner, or the end user for whom a UI's key speaks, whatever body,
    /// path or query say; in personal mode the user whom the request names, else the one of a UI's headers, else <see cref="DefaultUser"/>.
    /// </summary>
    public string UserNamed(string? named) => _owner ?? (string.IsNullOrEmpty(named) ? _unnamed : UserIds.Check(named));

    /// <summary>The user in a path. Another owner's is answered like one that does not exist.</summary>
    public string UserInPath(string userId) =>
        _owner is null || _owner == userId ? userId : throw new OpenAIErrorException(OpenAIError.UserNotFound(userId));

    /// <summary>True when the request must name its user itself (personal mode).</summary>
    public bool NamesItsUser => _owner is null;
}
