using System.Net;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>For whom a UI's key speaks, and that no other key does.</summary>
public sealed class UiIdentityTests(KeyedSystem keyed, PersonalSystem personal) : IClassFixture<KeyedSystem>, IClassFixture<PersonalSystem>
{
    private static readonly string[] s_userHeaders = ["X-OpenWebUI-User-Id", "X-User-Id"];

    [Fact]
    public async Task TrustedKey_SpeaksForTheUserOfItsHeaders()
    {
        using var ui = await keyed.Running.TrustedClientOfAsync("webui");
        foreach (var header in s_userHeaders)
        {
            var user = $"alice-{Guid.NewGuid():N}";
            using var herself = await keyed.Running.ClientOfAsync(user);

            var made = await ui.SendJsonAsync(HttpMethod.Post, "/v1/sessions", """{"user_id":"bob","title":"hers"}""", (header, user));

            Assert.Equal((HttpStatusCode.Created, user), (made.Status, made.Body.GetProperty("user_id").GetString()));
            var hers = Assert.Single((await herself.GetJsonAsync("/v1/sessions")).Body.GetProperty("sessions").EnumerateArray());
            var path = $"/v1/sessions/{hers.GetProperty("session_id").GetString()}";
            Assert.Equal(made.Body.GetProperty("session_id").GetString(), hers.GetProperty("session_id").GetString());
            Assert.Equal(HttpStatusCode.OK, (await ui.SendJsonAsync(HttpMethod.Get, path, headers: (header, user))).Status);
            Assert.Equal(HttpStatusCode.OK, (await ui.SendJsonAsync(HttpMethod.Get, $"/v1/users/{user}/history", headers: (header, user))).Status);
            // Neither another user of the same UI nor the UI by itself sees it.
            Assert.Equal(HttpStatusCode.NotFound, (await ui.SendJsonAsync(HttpMethod.Get, path, headers: (header, "carol"))).Status);
            Assert.Equal(HttpStatusCode.NotFound, (await ui.SendJsonAsync(HttpMethod.Get, $"/v1/users/{user}/history", headers: (header, "carol"))).Status);
            Assert.Equal(HttpStatusCode.NotFound, (await ui.GetJsonAsync(path)).Status);
        }
    }

    [Fact]
    public async Task TrustedKey_WithoutAUser_IsItsOwners()
    {
        using var ui = await keyed.Running.TrustedClientOfAsync("webui");
        foreach (var value in new[] { "", "{{LIBRECHAT_USER_ID}}" })
        {
            var made = await ui.SendJsonAsync(HttpMethod.Post, "/v1/sessions", "{}", ("X-User-Id", value), ("X-OpenWebUI-User-Email", "eve@example.com"));

            Assert.Equal("webui", made.Body.GetProperty("user_id").GetString());
        }
    }

    [Fact]
    public async Task TrustedKey_ThatNamesTwoUsers_IsRefused()
    {
        using var ui = await keyed.Running.TrustedClientOfAsync("webui");
        using var raw = await RawConnection.SendAsync(
            ui.BaseAddress!,
            $"GET /v1/sessions HTTP/1.1\r\nHost: gateway\r\nAuthorization: {ui.DefaultRequestHeaders.Authorization}\r\nX-OpenWebUI-User-Id: alice\r\nX-OpenWebUI-User-Id: bob\r\n\r\n");

        await raw.ReadUntilAsync(body => body.Contains("X-OpenWebUI-User-Id", StringComparison.Ordinal));

        Assert.StartsWith("HTTP/1.1 400 ", raw.Head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OtherKey_SpeaksForItsOwnerOnly()
    {
        using var bob = await keyed.Running.ClientOfAsync("bob");
        foreach (var header in s_userHeaders)
        {
            Assert.Equal("bob", (await bob.SendJsonAsync(HttpMethod.Post, "/v1/sessions", "{}", (header, "alice"))).Body.GetProperty("user_id").GetString());
        }
    }

    [Fact]
    public async Task PersonalMode_TakesTheHeadersUser_WhereTheRequestNamesNone()
    {
        var client = personal.Client;
        var user = $"alice-{Guid.NewGuid():N}";

        await client.PostJsonAsync("/v1/sessions", $$"""{"user_id":"{{user}}"}""");

        Assert.Equal(1, await TotalAsync("/v1/sessions", ("X-OpenWebUI-User-Id", user)));
        Assert.Equal(0, await TotalAsync("/v1/sessions?user_id=nobody", ("X-OpenWebUI-User-Id", user)));
        Assert.DoesNotContain(user, (await client.GetJsonAsync("/v1/sessions")).Text, StringComparison.Ordinal);

        async Task<int> TotalAsync(string path, params (string Name, string Value)[] headers) =>
            (await client.SendJsonAsync(HttpMethod.Get, path, headers: headers)).Body.GetProperty("total").GetInt32();
    }
}
