using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using ChatHistory.Gateway.Errors;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// <c>Authorization: Bearer</c> with an API key gives the key's owner; with the admin key, the administrator. In personal mode everybody on
/// this machine is the one trusted caller. A key that is marked <c>trusted_proxy</c> belongs to a UI and speaks for the user whom its headers
/// name (<see cref="UiHeaders.UserOf"/>); every other key's headers are ignored.
/// </summary>
internal sealed class ApiKeyAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> schemeOptions,
    ILoggerFactory loggers,
    UrlEncoder encoder,
    IOptions<IdentityOptions> identity,
    ApiKeyLookup keys) : AuthenticationHandler<AuthenticationSchemeOptions>(schemeOptions, loggers, encoder)
{
    public const string SchemeName = "ApiKey";
    public const string AdminRole = "admin";
    public const string PersonalModeClaim = "chathistory:personal_mode";
    public const string TrustedProxyClaim = "chathistory:trusted_proxy";
    public const string UiUserClaim = "chathistory:ui_user";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        // Health and documentation are everybody's. Nobody is asked for behind them: /alive has to answer while storage is down.
        if (!OwnedPaths.Covers(Request.Path) && !Request.Path.StartsWithSegments("/admin"))
        {
            return AuthenticateResult.NoResult();
        }

        var header = Request.Headers.Authorization.ToString();
        var bearer = header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header["Bearer ".Length..].Trim() : "";

        if (IsAdminKey(bearer))
        {
            return Success(new Claim(ClaimTypes.Role, AdminRole));
        }

        // A well-formed key is honoured in every mode, so that its owner's scope holds wherever it is used.
        if (ApiKeyText.TryGetId(bearer, out var id) && await keys.FindValidAsync(id, bearer, Context.RequestAborted) is { } key)
        {
            return key.TrustedProxy
                ? Success(new Claim(ClaimTypes.NameIdentifier, UiHeaders.UserOf(Request) ?? key.UserId), new Claim(TrustedProxyClaim, "true"))
                : Success(new Claim(ClaimTypes.NameIdentifier, key.UserId));
        }

        // OpenAI's SDKs refuse to start without some key, so in personal mode any text is accepted as none.
        if (!await keys.PersonalModeAsync(Context.RequestAborted))
        {
            return AuthenticateResult.Fail("no valid key");
        }

        if (PersonalModeGuard.RefusalOf(Request, identity.Value) is { } refusal)
        {
            Context.Items[nameof(PersonalModeGuard)] = refusal;
            return AuthenticateResult.Fail(refusal.Message);
        }

        return UiHeaders.UserOf(Request) is { } user
            ? Success(new Claim(PersonalModeClaim, "true"), new Claim(UiUserClaim, user))
            : Success(new Claim(PersonalModeClaim, "true"));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        if (Context.Items[nameof(PersonalModeGuard)] is OpenAIError refusal)
        {
            return OpenAIErrors.WriteAsync(Context, refusal);
        }

        Response.Headers.WWWAuthenticate = "Bearer";
        var given = Request.Headers.Authorization.Count > 0;
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
            Context.User.IsInRole(AdminRole)
                ? "The admin key owns no conversations. Make an API key for a user with POST /admin/keys and use that one."
                : "Only the admin key (Identity:AdminKey) may do this."));

    private bool IsAdminKey(string bearer) =>
        identity.Value is { HasAdminKey: true, AdminKey: { } adminKey }
        && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(bearer)), SHA256.HashData(Encoding.UTF8.GetBytes(adminKey)));

    private static AuthenticateResult Success(params Claim[] claims) =>
        AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity(claims, SchemeName)), SchemeName));
}
