using ChatHistory.Gateway.Errors;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace ChatHistory.Gateway.Identity.Oidc;

/// <summary>
/// Checks JSON Web Tokens of the configured authority: signed with one of its keys of today, by it, for us, and now. What is not said here to be
/// accepted is refused.
/// </summary>
/// <remarks>
/// <code>
/// GET {authority}/.well-known/openid-configuration  →  {"issuer":"https://…","jwks_uri":"https://…"}     (OpenID Connect Discovery 1.0)
/// GET {jwks_uri}                                     →  {"keys":[{"kid":"1","kty":"RSA","n":"…","e":"AQAB"}]}
/// header.payload.signature                              {"alg":"RS256","kid":"1"} {"iss","aud","sub","exp"}  (RFC 7519)
/// </code>
/// ASP.NET's own handler of such tokens answers 401 to the first token with a new key, and to every token while the authority cannot be asked.
/// Here a new key is looked up at once, and an authority that never answered is a 503: the token may well be good.
/// </remarks>
internal sealed partial class OidcTokens(IOptions<IdentityOptions> identity, IHttpClientFactory clients, TimeProvider time, ILogger<OidcTokens> logger) : IDisposable
{
    public const string HttpClientName = "oidc";

    private const int MaxOwnerLength = 200;
    private const int MaxTokenLength = 16 * 1024;

    // Asymmetric ones only: "none" needs no key, and HS256 would take the authority's public key, which everybody has, for a shared secret.
    private static readonly string[] s_algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512,
        SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
        SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
    ];

    private static readonly TimeSpan s_clockSkew = TimeSpan.FromSeconds(30);

    // A key that the authority took back stops working within this time.
    private static readonly TimeSpan s_keysKnownFor = TimeSpan.FromMinutes(5);

    // Tokens with invented key ids, and an authority that is down, must not turn into one request to it for each of ours.
    private static readonly TimeSpan s_betweenLookUps = TimeSpan.FromSeconds(1);

    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = MaxTokenLength };
    private readonly OidcOptions _options = identity.Value.Oidc;
    private readonly SemaphoreSlim _oneLookUp = new(1);
    private Authority? _authority;
    private long? _lastLookUp;

    public bool IsOn => _options.IsOn;

    /// <summary>True for what has the form of a token: three parts. An API key has no dot.</summary>
    public static bool LooksLikeOne(string bearer) => bearer.AsSpan().Count('.') == 2;

    /// <summary>Who the token speaks of; null when it is not good here.</summary>
    /// <exception cref="OpenAIErrorException">The authority's keys are not known, because it cannot be asked.</exception>
    public async Task<TokenOwner?> FindOwnerAsync(string token, CancellationToken cancellationToken)
    {
        if (token.Length > MaxTokenLength)
        {
            return null;
        }

        var authority = await AuthorityAsync(mayBeFrom: _authority is { } known && time.GetElapsedTime(known.At) < s_keysKnownFor ? known : null, cancellationToken);
        var result = await _handler.ValidateTokenAsync(token, Rules(authority));
        if (result.Exception is SecurityTokenSignatureKeyNotFoundException or SecurityTokenInvalidSignatureException)
        {
            // The authority may have a new key.
            var newer = await AuthorityAsync(mayBeFrom: null, cancellationToken);
            result = newer == authority ? result : await _handler.ValidateTokenAsync(token, Rules(newer));
        }

        if (!result.IsValid)
        {
            // The reason's name only: its words quote the token.
            Log.Refused(logger, result.Exception?.GetType().Name);
            return null;
        }

        var jwt = (JsonWebToken)result.SecurityToken;
        return jwt.TryGetPayloadValue<object>(_options.OwnerClaim, out var claim) && claim is string { Length: > 0 and <= MaxOwnerLength } owner
            ? new TokenOwner(OidcOwner.Of(jwt.Issuer, owner), IsAdmin(jwt))
            : null;
    }

    public void Dispose() => _oneLookUp.Dispose();

    private bool IsAdmin(JsonWebToken jwt) =>
        !string.IsNullOrWhiteSpace(_options.AdminClaim) && jwt.Claims.Any(claim => claim.Type == _options.AdminClaim && claim.Value == _options.AdminValue);

    private TokenValidationParameters Rules(Authority authority) => new()
    {
        ValidIssuer = authority.Issuer,
        ValidAudience = _options.Audience,
        IssuerSigningKeys = authority.Keys,
        ValidAlgorithms = s_algorithms,
        RequireSignedTokens = true,
        RequireExpirationTime = true,
        // A key that is named and not there is not a reason to try all others.
        TryAllIssuerSigningKeys = false,
        LifetimeValidator = (notBefore, expires, _, _) =>
        {
            var now = time.GetUtcNow().UtcDateTime;
            return expires is { } end && now < end + s_clockSkew && (notBefore is null || notBefore <= now + s_clockSkew);
        },
    };

    /// <summary>What the authority says of itself now; what it said before, when it cannot be asked or was asked a moment ago.</summary>
    /// <param name="mayBeFrom">What will do; null: to be asked anew.</param>
    private async Task<Authority> AuthorityAsync(Authority? mayBeFrom, CancellationToken cancellationToken)
    {
        if (mayBeFrom is not null)
        {
            return mayBeFrom;
        }

        var seen = _authority;
        await _oneLookUp.WaitAsync(cancellationToken);
        try
        {
            // Another request has looked meanwhile.
            if (_authority != seen && _authority is { } fresh)
            {
                return fresh;
            }

            if (_lastLookUp is null || time.GetElapsedTime(_lastLookUp.Value) >= s_betweenLookUps)
            {
                _authority = await LookUpAsync(cancellationToken) ?? _authority;
                _lastLookUp = time.GetTimestamp();
            }

            return _authority ?? throw new OpenAIErrorException(new OpenAIError(
                StatusCodes.Status503ServiceUnavailable, ErrorTypes.Server, "identity_unavailable",
                "The issuer of tokens (Identity:Oidc:Authority) cannot be asked for its keys at the moment, so this token could not be checked. Try again shortly; API keys work meanwhile.")
            {
                RetryAfterSeconds = 1,
            });
        }
        finally
        {
            _oneLookUp.Release();
        }
    }

    private async Task<Authority?> LookUpAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var client = clients.CreateClient(HttpClientName);
            var documents = new HttpDocumentRetriever(client) { RequireHttps = !_options.AllowHttp && !new Uri(_options.Authority!).IsLoopback };
            var address = _options.Authority!.TrimEnd('/') + "/.well-known/openid-configuration";
            var said = await OpenIdConnectConfigurationRetriever.GetAsync(address, documents, cancellationToken);
            // Discovery, 4.3: it must be the address that it was asked at. So a document that names another tenant's issuer, or {tenantid}, opens nothing.
            if (said.Issuer is not { Length: > 0 } issuer || issuer.TrimEnd('/') != _options.Authority!.TrimEnd('/'))
            {
                Log.WrongIssuer(logger, address, said.Issuer);
                return null;
            }

            return new Authority(issuer, [.. said.SigningKeys], time.GetTimestamp());
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            Log.Unreachable(logger, exception, _options.Authority);
            return null;
        }
    }

    private sealed record Authority(string Issuer, IReadOnlyList<SecurityKey> Keys, long At);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "A token was refused: {Reason}")]
        public static partial void Refused(ILogger logger, string? reason);

        [LoggerMessage(2, LogLevel.Warning, "{Address} says that its issuer is '{Issuer}'. Set Identity:Oidc:Authority to exactly that: tokens are accepted of one issuer only")]
        public static partial void WrongIssuer(ILogger logger, string address, string? issuer);

        [LoggerMessage(3, LogLevel.Warning, "The issuer of tokens, {Authority}, cannot be asked for its keys; those known before stay in force")]
        public static partial void Unreachable(ILogger logger, Exception exception, string? authority);
    }
}

/// <summary>Whom a token speaks of.</summary>
/// <param name="UserId">See <see cref="OidcOwner"/>.</param>
/// <param name="IsAdmin">It has the claim of an administrator.</param>
internal sealed record TokenOwner(string UserId, bool IsAdmin);
