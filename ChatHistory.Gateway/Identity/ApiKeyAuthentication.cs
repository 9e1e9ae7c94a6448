using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity.Oidc;
using ChatHistory.Gateway.RateLimits;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using ApiKey = ChatHistory.Storage.V1.ApiKey;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// <c>Authorization: Bearer</c> with an API key gives the key's owner; with a token of the configured issuer, the one whom it speaks of; with the
/// admin key, or a key of the role <c>admin</c>, the administrator. In personal mode everybody on
/// this machine is the one trusted caller. A key of the role <c>trusted_proxy</c> belongs to a UI and speaks for the user whom its headers
/// name (<see cref="UiHeaders.UserOf"/>); every other key's headers are ignored.
/// </summary>
internal sealed class ApiKeyAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> schemeOptions,
    ILoggerFactory loggers,
    UrlEncoder encoder,
    IOptions<IdentityOptions> identity,
    IOptions<LimitsOptions> limits,
    ApiKeyLookup keys,
    OidcTokens tokens,
    FailedAttempts attempts) : AuthenticationHandler<AuthenticationSchemeOptions>(schemeOptions, loggers, encoder)
{
    public const string SchemeName = "ApiKey";
    public const string AdminRole = "admin";
    public const string PersonalModeClaim = "chathistory:personal_mode";
    public const string TrustedProxyClaim = "chathistory:trusted_proxy";
    public const string UiUserClaim = "chathistory:ui_user";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        // Health and documentation are everybody's. Nobody is asked for behind them: /alive has to answer while storage is down.
        if (!OwnedPaths.Covers(Request.Path) && !AdminListener.IsAdminPath(Request.Path))
        {
            return AuthenticateResult.NoResult();
        }

        var header = Request.Headers.Authorization.ToString();
        var bearer = header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header["Bearer ".Length..].Trim() : "";
        var hash = ApiKeyText.Hash(bearer);

        if (IsAdminKey(hash))
        {
            return Success(new Claim(ClaimTypes.Role, AdminRole));
        }

        // A well-formed key is honoured in every mode, so that its owner's scope holds wherever it is used.
        if (ApiKeyText.TryGetId(bearer, out var id) && await keys.FindValidAsync(id, hash, Context.RequestAborted) is { } key)
        {
            return Success(OwnerOf(key));
        }

        if (tokens.IsOn && OidcTokens.LooksLikeOne(bearer) && await tokens.FindOwnerAsync(bearer, Context.RequestAborted) is { } owner)
        {
            return Success(OwnerOf(owner));
        }

        // OpenAI's SDKs refuse to start without some key, so in personal mode any text is accepted as none.
        if (!await keys.PersonalModeAsync(Context.RequestAborted))
        {
            return AuthenticateResult.Fail("no valid key");
        }

        if (WebPages.Refuse(Request, identity.Value) is { } refusal)
        {
            throw new OpenAIErrorException(refusal);
        }

        return UiHeaders.UserOf(Request) is { } user
            ? Success(new Claim(PersonalModeClaim, "true"), new Claim(UiUserClaim, user))
            : Success(new Claim(PersonalModeClaim, "true"));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        var given = Request.Headers.Authorization.Count > 0;
        if (given && attempts.Add(Context.Connection.RemoteIpAddress) is { } wait)
        {
            return OpenAIErrors.WriteAsync(Context, new OpenAIError(
                StatusCodes.Status429TooManyRequests,
                ErrorTypes.RateLimit,
                "too_many_wrong_keys",
                "This address has sent too many keys that are not valid here. Wait, and check the key: it is unknown, revoked, expired or mistyped. Valid keys work as before.")
            {
                RetryAfter = wait,
            });
        }

        return OpenAIErrors.WriteAsync(Context, new OpenAIError(
            StatusCodes.Status401Unauthorized,
            ErrorTypes.InvalidRequest,
            "invalid_api_key",
            given
                ? "The API key is not valid here: it is unknown, revoked, expired or mistyped. Ask this gateway's administrator for a new one."
                : "An API key is needed. Send it as a header: Authorization: Bearer chk_..."));
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) =>
        OpenAIErrors.WriteAsync(Context, new OpenAIError(
            StatusCodes.Status403Forbidden,
            ErrorTypes.Permission,
            "forbidden",
            Context.User.IsInRole(AdminRole) && OwnedPaths.Covers(Request.Path)
                ? "The admin key owns no conversations. Make an API key for a user with POST /admin/keys on the admin listener and use that one."
                : "Only an administrator may do this: the admin key (Identity:AdminKey), or an API key of the role admin."));

    private CallerIdentity OwnerOf(ApiKey key)
    {
        if (key.Role == ApiKeyRoles.Admin)
        {
            return new CallerIdentity([new Claim(ClaimTypes.Role, AdminRole)], SchemeName);
        }

        var isUi = key.Role == ApiKeyRoles.TrustedProxy;
        var user = (isUi ? UserOfUi() : null) ?? key.UserId;
        return new CallerIdentity([new Claim(ClaimTypes.NameIdentifier, user), .. isUi ? [new Claim(TrustedProxyClaim, "true")] : Array.Empty<Claim>()], SchemeName)
        {
            Subject = key.KeyId,
            Limits = KeyLimits.From(key.Limits).Over(limits.Value.PerKey),
        };
    }

    // On the admin listener the role counts, everywhere else its owner's conversations: one token is for both.
    private CallerIdentity OwnerOf(TokenOwner owner) => owner.IsAdmin && Context.CameInByAdminListener()
        ? new CallerIdentity([new Claim(ClaimTypes.Role, AdminRole)], SchemeName)
        : new CallerIdentity([new Claim(ClaimTypes.NameIdentifier, owner.UserId)], SchemeName)
        {
            Subject = owner.UserId,
            Limits = KeyLimits.None.Over(limits.Value.PerKey),
        };

    private string? UserOfUi() => UiHeaders.UserOf(Request) is { } user && OidcOwner.IsOne(user)
        ? throw new OpenAIErrorException(OpenAIError.InvalidRequest($"The user '{user}' begins with {OidcOwner.Prefix}, as only owners of tokens do. A UI cannot speak for them.", "X-User-Id"))
        : UiHeaders.UserOf(Request);

    private bool IsAdminKey(byte[] hash) => identity.Value.AdminKeyHash is { } adminKey && CryptographicOperations.FixedTimeEquals(hash, adminKey);

    private static AuthenticateResult Success(params Claim[] claims) => Success(new CallerIdentity(claims, SchemeName));

    private static AuthenticateResult Success(CallerIdentity caller) => AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(caller), SchemeName));
}
