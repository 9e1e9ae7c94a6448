using System.Security.Claims;
using ChatHistory.Gateway.RateLimits;

namespace ChatHistory.Gateway.Identity;

/// <summary>Who a request's key or token belongs to, and how much that one may.</summary>
internal sealed class CallerIdentity(IEnumerable<Claim> claims, string scheme) : ClaimsIdentity(claims, scheme)
{
    /// <summary>What limits are counted by: the key's id, or of a token its owner. Null where nothing is counted: personal mode, administrators.</summary>
    public string? Subject { get; init; }

    /// <summary>The limits that are in force.</summary>
    public KeyLimits Limits { get; init; } = KeyLimits.None;

    public static CallerIdentity? Of(ClaimsPrincipal user) => user.Identity as CallerIdentity;
}
