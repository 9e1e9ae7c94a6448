using System.Net;
using System.Security.Cryptography;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.Oidc;

/// <summary>Tokens of one issuer are accepted beside API keys; whatever else has the form of a token is not.</summary>
public sealed class OidcTests(OidcSystem system) : IClassFixture<OidcSystem>
{
    private const string Audience = OidcSystem.Audience;

    private readonly LocalAuthority _authority = system.Authority;
    private readonly RunningSystem _system = system.Running;

    [Fact]
    public async Task Token_OpensItsOwnersConversations_AndNoOthers()
    {
        var (ada, bob) = (_authority.Token(Payload("ada")), _authority.Token(Payload("bob")));
        var said = await SendAsync(ada, HttpMethod.Post, Completions, Body(NewPrompt(), stream: false, more: "\"user_id\":\"bob\""));
        Assert.Equal(HttpStatusCode.OK, said.Status);

        var session = await SendAsync(ada, HttpMethod.Get, $"/v1/sessions/{said.SessionId}");
        var owner = session.Body.GetProperty("user_id").GetString()!;
        Assert.Matches("^oidc:[0-9a-f]{16}:ada$", owner);
        Assert.Equal("500", session.Headers["x-ratelimit-limit-requests"]);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(bob, HttpMethod.Get, $"/v1/sessions/{said.SessionId}")).Status);
        // A user whom an administrator calls "ada" is somebody else, and no UI can name the token's owner.
        using var key = await _system.ClientOfAsync("ada");
        Assert.Equal(HttpStatusCode.NotFound, (await key.GetJsonAsync($"/v1/sessions/{said.SessionId}")).Status);
        using var ui = await _system.TrustedClientOfAsync("ui");
        var forged = await ui.SendJsonAsync(HttpMethod.Get, $"/v1/sessions/{said.SessionId}", headers: ("X-OpenWebUI-User-Id", owner));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_request"), (forged.Status, forged.ErrorCode));
    }

    [Fact]
    public async Task WrongTokens_AreRefused()
    {
        var askedBefore = _authority.KeyRequests;
        using var somebodyElse = RSA.Create(2048);
        var now = TimeProvider.System.GetUtcNow();
        (string What, string Token)[] wrong =
        [
            ("expired", _authority.Token(Payload("ada", expires: now.AddMinutes(-2)))),
            ("not yet valid", _authority.Token(new { iss = _authority.IssuerInTokens, aud = Audience, sub = "ada", exp = now.AddHours(1).ToUnixTimeSeconds(), nbf = now.AddMinutes(10).ToUnixTimeSeconds() })),
            ("without an end", _authority.Token(new { iss = _authority.IssuerInTokens, aud = Audience, sub = "ada" })),
            ("another audience", _authority.Token(Payload("ada", audience: "another-service"))),
            ("no audience", _authority.Token(new { iss = _authority.IssuerInTokens, sub = "ada", exp = now.AddHours(1).ToUnixTimeSeconds() })),
            ("another issuer", _authority.Token(Payload("ada", issuer: "https://evil.example"))),
            ("another tenant of the issuer", _authority.Token(Payload("ada", issuer: _authority.IssuerInTokens + "/tenant-b"))),
            ("algorithm none", _authority.Token(Payload("ada"), "none")),
            ("HS256 with the public key", _authority.Token(Payload("ada"), "HS256")),
            ("signed by somebody else", _authority.Token(Payload("ada"), signedBy: somebodyElse)),
            ("an unknown key", _authority.Token(Payload("ada"), signedBy: somebodyElse, keyId: "unknown")),
            ("no owner", _authority.Token(new { iss = _authority.IssuerInTokens, aud = Audience, exp = now.AddHours(1).ToUnixTimeSeconds() })),
            ("an empty owner", _authority.Token(Payload(""))),
            ("an owner that is no text", _authority.Token(new { iss = _authority.IssuerInTokens, aud = Audience, sub = new[] { "ada" }, exp = now.AddHours(1).ToUnixTimeSeconds() })),
            ("a long owner", _authority.Token(Payload(new string('a', 300)))),
            ("no token", "a.b.c"),
            ("half of one", _authority.Token(Payload("ada"))[..^20]),
            ("a huge one", _authority.Token(Payload("ada")) + new string('A', 20_000)),
        ];
        foreach (var (what, token) in wrong)
        {
            var answer = await SendAsync(token, HttpMethod.Get, "/v1/sessions");
            Assert.True((answer.Status, answer.ErrorCode) == (HttpStatusCode.Unauthorized, "invalid_api_key"), $"{what}: {answer.Status} {answer.Text}");
        }

        Assert.Equal(HttpStatusCode.OK, (await SendAsync(_authority.Token(Payload("ada")), HttpMethod.Get, "/v1/sessions")).Status);
        // Not one question for each of them.
        Assert.InRange(_authority.KeyRequests - askedBefore, 0, 8);
        Assert.Equal(HttpStatusCode.Unauthorized, (await _system.Client.GetJsonAsync("/v1/sessions")).Status);
    }

    [Fact]
    public async Task NewKey_IsFoundAtOnce_AndTheOldOneIsGone()
    {
        var old = _authority.Token(Payload("ada"));
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(old, HttpMethod.Get, "/v1/sessions")).Status);
        _authority.Rotate();

        await Eventually.GetAsync(async () => (await SendAsync(_authority.Token(Payload("ada")), HttpMethod.Get, "/v1/sessions")).Status, status => status == HttpStatusCode.OK, TimeSpan.FromSeconds(2));

        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(old, HttpMethod.Get, "/v1/sessions")).Status);
    }

    [Fact]
    public async Task AuthorityThatIsDown_IsNotTakenForAWrongToken()
    {
        var token = _authority.Token(Payload("ada"));
        await _authority.StopAsync();
        await RestartGatewayAsync();
        var refused = await SendAsync(token, HttpMethod.Get, "/v1/sessions");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "identity_unavailable", "1"), (refused.Status, refused.ErrorCode, refused.Headers["Retry-After"]));
        using var key = await _system.ClientOfAsync("ada");
        Assert.Equal(HttpStatusCode.OK, (await key.GetJsonAsync("/v1/sessions")).Status);

        await _authority.ComeBackAsync();
        await Eventually.GetAsync(async () => (await SendAsync(token, HttpMethod.Get, "/v1/sessions")).Status, status => status == HttpStatusCode.OK, TimeSpan.FromSeconds(10));

        // What it said before holds while it is away.
        await _authority.StopAsync();
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(token, HttpMethod.Get, "/v1/sessions")).Status);
        await _authority.ComeBackAsync();
    }

    [Fact]
    public async Task AuthorityOfAnotherName_OpensNothing()
    {
        _authority.Issuer = "https://login.example.org/{tenantid}/v2.0";
        await RestartGatewayAsync();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await SendAsync(_authority.Token(Payload("ada", issuer: _authority.Issuer)), HttpMethod.Get, "/v1/sessions")).Status);
        _authority.Issuer = null;
        await RestartGatewayAsync();
    }

    [Fact]
    public async Task AdminClaim_CountsOnTheAdminListener()
    {
        var admin = _authority.Token(new { iss = _authority.IssuerInTokens, aud = Audience, sub = "root", exp = Later(), roles = new[] { "reader", "chathistory-admin" } });
        var other = _authority.Token(new { iss = _authority.IssuerInTokens, aud = Audience, sub = "eve", exp = Later(), roles = new[] { "reader", "chathistory-administrator" } });
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(admin, HttpMethod.Get, "/admin/keys", listener: _system.Gateway.AdminAddress)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(other, HttpMethod.Get, "/admin/keys", listener: _system.Gateway.AdminAddress)).Status);
        // Elsewhere it opens its owner's conversations, as any other.
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(admin, HttpMethod.Get, "/v1/sessions")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(admin, HttpMethod.Get, "/admin/keys")).Status);
    }

    private object Payload(string owner, string? issuer = null, string audience = Audience, DateTimeOffset? expires = null) =>
        new { iss = issuer ?? _authority.IssuerInTokens, aud = audience, sub = owner, exp = expires?.ToUnixTimeSeconds() ?? Later() };

    /// <summary>So that it knows nothing of the authority.</summary>
    private async Task RestartGatewayAsync()
    {
        await _system.Gateway.StopAsync();
        await _system.Gateway.RestartAsync();
        await _system.WaitUntilHealthyAsync();
    }

    private static long Later() => TimeProvider.System.GetUtcNow().AddHours(1).ToUnixTimeSeconds();

    private async Task<Answer> SendAsync(string token, HttpMethod method, string path, string? body = null, Uri? listener = null)
    {
        using var client = _system.ClientWith(token, listener);
        return await client.SendJsonAsync(method, path, body);
    }
}
