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

    private Caller(string? owner)
    {
        _owner = owner;
        Scope = owner is null ? new Scope { Everyone = true } : new Scope { Owner = owner };
    }

    public Scope Scope { get; }

    public static Caller From(ClaimsPrincipal user) =>
        user.HasClaim(ApiKeyAuthentication.PersonalModeClaim, "true")
            ? new Caller(owner: null)
            : new Caller(user.FindFirstValue(ClaimTypes.NameIdentifier) ?? throw new InvalidOperationException("an authenticated caller has an owner"));

    /// <summary>
    /// The user whom a request is about. With an API key that is the key's owner, whatever body, path or query say;
    /// in personal mode the user whom the request names, else <see cref="DefaultUser"/>.
    /// </summary>
    public string UserNamed(string? named) => _owner ?? (string.IsNullOrEmpty(named) ? DefaultUser : named);

    /// <summary>The user in a path. Another owner's is answered like one that does not exist.</summary>
    public string UserInPath(string userId) =>
        _owner is null || _owner == userId ? userId : throw new OpenAIErrorException(OpenAIError.UserNotFound(userId));

    /// <summary>True when the request must name its user itself (personal mode).</summary>
    public bool NamesItsUser => _owner is null;
}
