using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>S2: without a valid key every route answers 401, also one that does not exist, and before it has read the body.</summary>
[Trait(Promise.Trait, "S2")]
public sealed class KeyCheckTests(KeyedSystem system, ITestOutputHelper output) : IClassFixture<KeyedSystem>
{
    private const string Symbols = "chk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz. '\"-;=%\\";

    private static readonly string[] s_unknown =
        ["/v1", "/v1/nothing", "/V1/Embeddings", "/v1/sessions/", "/v1/sessions/../models", "/v1/%73essions", "/v1/chat/completions/x/y/z", "/TOKENIZE"];

    private static readonly HttpMethod[] s_methods = [HttpMethod.Get, HttpMethod.Post, HttpMethod.Put, HttpMethod.Delete, HttpMethod.Options, HttpMethod.Patch];

    // The announced bodies never come.
    private static readonly string[] s_bodies =
    [
        "Content-Length: 9999999999\r\n\r\n", "Content-Length: 1000\r\n\r\n{\"messages\":", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"mes", "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    ];

    [Fact]
    public async Task WithoutAValidKey_EveryRouteIsRefused()
    {
        var promise = new Promise("S2", output);
        var random = new Random(promise.Seed);
        var (valid, revoked, expired) = (await MakeKeyAsync("dora"), await RevokedKeyAsync(), await ExpiredKeyAsync());
        (HttpClient Listener, HttpMethod Method, string Path)[] routes =
        [
            .. (await OpenApiRoute.ReadAllAsync(system.Client))
                .Select(route => (route.Template.StartsWith("/admin", StringComparison.Ordinal) ? system.Running.AdminClient : system.Client, route.Method, route.Template)),
            .. from path in s_unknown from method in s_methods
               select (system.Client, method, path),
            (system.Running.AdminClient, HttpMethod.Get, "/admin"), (system.Running.AdminClient, HttpMethod.Put, "/admin/keys"), (system.Running.AdminClient, HttpMethod.Get, "/admin/nothing"),
        ];
        string?[] authorizations =
        [
            null, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer chk_", $"Bearer {revoked}", $"Bearer {expired}", $"Bearer {revoked[..^1]}", $"Bearer {revoked}x", $"Basic {valid}", valid,
            $"Bearer {valid}{valid}", "Bearer ' OR 1=1 --", $"Bearer {valid[..13]}{revoked[13..]}", $"Bearer {valid.ToUpperInvariant()}", $"Token {valid}", $"Bearer {RunningSystem.AdminKey}x",
            "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
            .. Enumerable.Range(0, Promise.Size(4, 200)).Select(_ => $"Bearer {Mutated(valid, random)}"),
        ];

        var refused = 0;
        var wrong = new ConcurrentQueue<string>();
        await Parallel.ForEachAsync(from route in routes from authorization in authorizations select (route, authorization), async (attempt, _) =>
        {
            var ((listener, method, path), authorization) = attempt;
            var answer = await listener.SendJsonAsync(method, path, """{"broken""", authorization is null ? [] : [("Authorization", authorization)]);
            Interlocked.Increment(ref refused);
            if (answer.Status != HttpStatusCode.Unauthorized || answer.ErrorCode != "invalid_api_key" || answer.Headers.GetValueOrDefault("WWW-Authenticate") != "Bearer")
            {
                wrong.Enqueue($"{method} {path} with '{authorization}': {answer.Status} {answer.Text}");
            }
        });

        Assert.Empty(wrong);
        promise.Figure($"{refused} of {refused} requests without a valid key were 401: {routes.Length} routes and methods, {authorizations.Length} kinds of wrong keys");
    }

    [Fact]
    public async Task Key_IsCheckedBeforeTheBodyIsRead()
    {
        var promise = new Promise("S2", output);
        var revoked = await RevokedKeyAsync();
        var slowest = TimeSpan.Zero;
        var asked = 0;
        foreach (var path in (await OpenApiRoute.ReadAllAsync(system.Client)).Where(route => route.Method != HttpMethod.Get && route.Method != HttpMethod.Delete && route.Template[1] != 'a')
            .Select(route => route.Template.Replace("{", "", StringComparison.Ordinal).Replace("}", "", StringComparison.Ordinal)).Append("/v1/nothing").Distinct())
        {
            foreach (var body in s_bodies)
            {
                foreach (var key in new[] { "", "Authorization: Bearer wrong\r\n", $"Authorization: Bearer {revoked}\r\n" })
                {
                    var began = Stopwatch.GetTimestamp();
                    using var connection = await RawConnection.SendAsync(
                        system.Client.BaseAddress!, $"POST {path} HTTP/1.1\r\nHost: localhost\r\n{key}Content-Type: application/json\r\n{body}");
                    await connection.ReadUntilAsync(received => received.Contains("invalid_api_key", StringComparison.Ordinal)).WaitAsync(TimeSpan.FromSeconds(20));

                    Assert.StartsWith("HTTP/1.1 401 ", connection.Head, StringComparison.Ordinal);
                    slowest = Stopwatch.GetElapsedTime(began) is var took && took > slowest ? took : slowest;
                    asked++;
                }
            }
        }

        promise.Figure($"{asked} requests whose body never came were 401 at once, the slowest after {slowest.TotalMilliseconds:0} ms");
    }

    private static string Mutated(string key, Random random)
    {
        var characters = key.ToCharArray();
        do
        {
            characters[random.Next(characters.Length)] = Symbols[random.Next(Symbols.Length)];
        }
        while (new string(characters).Trim() == key);
        return new string(characters);
    }

    private async Task<string> MakeKeyAsync(string userId, string more = "") =>
        (await system.Admin.PostJsonAsync("/admin/keys", $$"""{"user_id":"{{userId}}"{{more}}}""")).Body.GetProperty("key").GetString()!;

    private async Task<string> RevokedKeyAsync()
    {
        var key = await MakeKeyAsync("carl");
        await system.Admin.SendJsonAsync(HttpMethod.Delete, $"/admin/keys/{key[4..12]}");
        await GoneAsync(key);
        return key;
    }

    private async Task<string> ExpiredKeyAsync()
    {
        var key = await MakeKeyAsync("gert", $",\"expires_at\":\"{TimeProvider.System.GetUtcNow().AddSeconds(1):O}\"");
        await GoneAsync(key);
        return key;
    }

    private async Task GoneAsync(string key)
    {
        using var client = system.Running.ClientWith(key);
        await Eventually.GetAsync(async () => (await client.GetJsonAsync("/v1/sessions")).Status, status => status == HttpStatusCode.Unauthorized);
    }
}
