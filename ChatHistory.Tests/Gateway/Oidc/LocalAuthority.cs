using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace ChatHistory.Tests.Gateway.Oidc;

/// <summary>An issuer of tokens on this machine: discovery document, keys, and tokens written by hand, so that wrong ones can be written, too.</summary>
internal sealed class LocalAuthority : IAsyncDisposable
{
    private WebApplication? _app;
    private readonly List<(string Id, RSA Key)> _keys = [];

    public Uri Address { get; private set; } = new("http://127.0.0.1:1");

    /// <summary>What the discovery document says; the address when null.</summary>
    public string? Issuer { get; set; }

    public string IssuerInTokens => Address.ToString().TrimEnd('/');

    public int KeyRequests { get; private set; }

    public static async Task<LocalAuthority> StartAsync()
    {
        var authority = new LocalAuthority();
        authority.Rotate();
        await authority.ListenAsync("http://127.0.0.1:0");
        return authority;
    }

    /// <summary>Ends the server; its address stays its own as long as nobody takes it.</summary>
    public async Task StopAsync()
    {
        // Connections that its clients keep open would hold it up.
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app!.StopAsync(now.Token);
        await _app.DisposeAsync();
        _app = null;
    }

    public Task ComeBackAsync() => ListenAsync(IssuerInTokens);

    /// <summary>A new key signs from now on, and the old ones are gone.</summary>
    public void Rotate()
    {
        _keys.Clear();
        _keys.Add(($"key-{Guid.NewGuid():N}", RSA.Create(2048)));
    }

    public string Token(object payload, string algorithm = "RS256", RSA? signedBy = null, string? keyId = null)
    {
        var (id, key) = _keys[0];
        var head = JsonSerializer.Serialize(new { alg = algorithm, typ = "JWT", kid = keyId ?? id });
        var signed = $"{Base64Url(Encoding.UTF8.GetBytes(head))}.{Base64Url(JsonSerializer.SerializeToUtf8Bytes(payload))}";
        var bytes = Encoding.ASCII.GetBytes(signed);
        var signature = algorithm switch
        {
            "none" => [],
            "HS256" => HMACSHA256.HashData(Encoding.ASCII.GetBytes(key.ExportRSAPublicKeyPem()), bytes),
            _ => (signedBy ?? key).SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
        };
        return $"{signed}.{Base64Url(signature)}";
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await StopAsync();
        }
    }

    private async Task ListenAsync(string address)
    {
        _app = LoopbackServer.NewBuilder(address).Build();
        _app.MapGet("/.well-known/openid-configuration", () => Results.Json(new { issuer = Issuer ?? IssuerInTokens, jwks_uri = $"{IssuerInTokens}/keys" }));
        _app.MapGet("/keys", () =>
        {
            KeyRequests++;
            return Results.Json(new { keys = _keys.Select(key => Jwk(key.Id, key.Key.ExportParameters(false))) });
        });
        await _app.StartAsync();
        Address = new Uri(_app.Urls.Single());
    }

    private static object Jwk(string id, RSAParameters key) =>
        new { kty = "RSA", use = "sig", alg = "RS256", kid = id, n = Base64Url(key.Modulus!), e = Base64Url(key.Exponent!) };

    private static string Base64Url(byte[] bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);
}
