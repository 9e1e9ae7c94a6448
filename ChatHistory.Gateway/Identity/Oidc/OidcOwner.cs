using System.Security.Cryptography;
using System.Text;

namespace ChatHistory.Gateway.Identity.Oidc;

/// <summary>
/// The <c>user_id</c> of a token's owner: <c>oidc:</c>, 16 hex digits of the issuer's SHA-256, <c>:</c>, and the owner's claim. So two issuers' users
/// never meet, nor does one meet a user whom an administrator named. Only an administrator may name such a user, for a key beside the tokens.
/// </summary>
internal static class OidcOwner
{
    public const string Prefix = "oidc:";

    public static string Of(string issuer, string owner) => $"{Prefix}{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(issuer)))[..16]}:{owner}";

    public static bool IsOne(string userId) => userId.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase);
}
