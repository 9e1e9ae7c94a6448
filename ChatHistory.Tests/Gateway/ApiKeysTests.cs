using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text;
using ChatHistory.Tests.Processes;
using OpenAI;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>API keys: who makes them, what they open, and when they stop.</summary>
public sealed class ApiKeysTests(KeyedSystem system) : IClassFixture<KeyedSystem>
{
    private HttpClient Anonymous => system.Client;

    private HttpClient Admin => system.Admin;

    [Fact]
    public async Task Key_IsShownOnce()
    {
        var made = await Admin.PostJsonAsync("/admin/keys", """{"user_id":"olga","name":"laptop"}""");

        Assert.Equal(HttpStatusCode.Created, made.Status);
        var key = made.Body.GetProperty("key").GetString()!;
        Assert.StartsWith($"chk_{made.Body.GetProperty("key_id").GetString()}_", key, StringComparison.Ordinal);
        var list = await Admin.GetJsonAsync("/admin/keys?user_id=olga");
        var listed = Assert.Single(list.Body.GetProperty("keys").EnumerateArray());
        Assert.Equal(("olga", "laptop"), (listed.GetProperty("user_id").GetString(), listed.GetProperty("name").GetString()));
        Assert.False(listed.TryGetProperty("key", out _));
        Assert.DoesNotContain(key[^20..], (await Admin.GetJsonAsync("/admin/keys")).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AdminRoutes_AreTheAdminKeysAlone()
    {
        using var user = system.Running.ClientWith(await MakeKeyAsync("ada"), system.Running.Gateway.AdminAddress);
        using var wrong = system.Running.ClientWith(RunningSystem.AdminKey + "x", system.Running.Gateway.AdminAddress);
        foreach (var (method, path) in new[] { (HttpMethod.Get, "/admin/keys"), (HttpMethod.Post, "/admin/keys"), (HttpMethod.Delete, "/admin/keys/abcdefgh") })
        {
            var body = method == HttpMethod.Post ? """{"user_id":"eve"}""" : null;
            Assert.Equal(("invalid_api_key", HttpStatusCode.Unauthorized), await RefusalAsync(system.Running.AdminClient, method, path, body));
            Assert.Equal(("invalid_api_key", HttpStatusCode.Unauthorized), await RefusalAsync(wrong, method, path, body));
            Assert.Equal(("forbidden", HttpStatusCode.Forbidden), await RefusalAsync(user, method, path, body));
        }

        Assert.DoesNotContain("eve", (await Admin.GetJsonAsync("/admin/keys")).Text, StringComparison.Ordinal);
        Assert.Equal(("key_not_found", HttpStatusCode.NotFound), await RefusalAsync(Admin, HttpMethod.Delete, "/admin/keys/abcdefgh"));
    }

    [Fact]
    public async Task KeyWithTheRoleAdmin_WorksLikeTheBootstrapKey()
    {
        var made = await Admin.PostJsonAsync("/admin/keys", """{"name":"for the night shift","role":"admin"}""");
        Assert.Equal((HttpStatusCode.Created, "admin"), (made.Status, made.Body.GetProperty("role").GetString()));
        Assert.False(made.Body.TryGetProperty("user_id", out _));
        var text = made.Body.GetProperty("key").GetString()!;
        using var administrator = system.Running.ClientWith(text, system.Running.Gateway.AdminAddress);
        using var onPublic = system.Running.ClientWith(text);

        var key = await administrator.PostJsonAsync("/admin/keys", """{"user_id":"made-by-night"}""");
        Assert.Equal((HttpStatusCode.Created, "user"), (key.Status, key.Body.GetProperty("role").GetString()));
        Assert.Equal(HttpStatusCode.OK, (await administrator.GetJsonAsync("/admin/keys")).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await administrator.SendJsonAsync(HttpMethod.Delete, $"/admin/keys/{key.Body.GetProperty("key_id").GetString()}")).Status);
        Assert.Equal(("forbidden", HttpStatusCode.Forbidden), await RefusalAsync(onPublic, HttpMethod.Get, "/v1/sessions"));
        Assert.Equal(("unknown_url", HttpStatusCode.NotFound), await RefusalAsync(onPublic, HttpMethod.Get, "/admin/keys"));

        await Admin.SendJsonAsync(HttpMethod.Delete, $"/admin/keys/{made.Body.GetProperty("key_id").GetString()}");
        await Eventually.GetAsync(async () => (await administrator.GetJsonAsync("/admin/keys")).Status, status => status == HttpStatusCode.Unauthorized, TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task AdminKey_OwnsNoConversations()
    {
        using var admin = system.Running.ClientWith(RunningSystem.AdminKey);
        foreach (var route in (await OpenApiRoute.ReadAllAsync(Anonymous)).Where(route => route.Template.StartsWith("/v1", StringComparison.Ordinal)))
        {
            Assert.Equal(("forbidden", HttpStatusCode.Forbidden), await RefusalAsync(admin, route.Method, route.Template, "{}"));
        }
    }

    [Fact]
    public async Task WrongKey_HasItsSentenceInTheOfficialClient()
    {
        var openAI = new OpenAIClient(
            new ApiKeyCredential("wrong"), new OpenAIClientOptions { Endpoint = new Uri(Anonymous.BaseAddress!, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });

        var exception = await Assert.ThrowsAsync<ClientResultException>(() => openAI.GetChatClient(RunningSystem.Model).CompleteChatAsync("Hello"));

        Assert.Equal(401, exception.Status);
        Assert.Contains("The API key is not valid here", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RevokedKey_StopsWithinASecond()
    {
        var key = await MakeKeyAsync("frida");
        using var client = system.Running.ClientWith(key);
        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);

        Assert.Equal(HttpStatusCode.NoContent, (await Admin.SendJsonAsync(HttpMethod.Delete, $"/admin/keys/{key[4..12]}")).Status);

        // A second that the key is remembered for, and a little for the request.
        await Eventually.GetAsync(async () => (await client.GetJsonAsync("/v1/sessions")).Status, status => status == HttpStatusCode.Unauthorized, TimeSpan.FromSeconds(1.5));
        Assert.NotEqual("null", (await Admin.GetJsonAsync("/admin/keys?user_id=frida")).Body.GetProperty("keys")[0].GetProperty("revoked_at").GetRawText());
    }

    [Fact]
    public async Task ExpiredKey_Stops()
    {
        var expires = TimeProvider.System.GetUtcNow().AddSeconds(3);
        var made = await Admin.PostJsonAsync("/admin/keys", $$"""{"user_id":"gert","expires_at":"{{expires:O}}"}""");
        using var client = system.Running.ClientWith(made.Body.GetProperty("key").GetString()!);
        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);

        await Eventually.GetAsync(async () => (await client.GetJsonAsync("/v1/sessions")).Status, status => status == HttpStatusCode.Unauthorized, TimeSpan.FromSeconds(4));

        Assert.True(TimeProvider.System.GetUtcNow() >= expires);
        Assert.Equal(HttpStatusCode.BadRequest, (await Admin.PostJsonAsync("/admin/keys", """{"user_id":"gert","expires_at":"2020-01-01T00:00:00Z"}""")).Status);
    }

    [Fact]
    public async Task StorageDown_IsNotTakenForAWrongKey()
    {
        using var client = await system.Running.ClientOfAsync("hugo");
        await system.Running.Storage.KillAsync();
        try
        {
            foreach (var path in new[] { "/v1/sessions", "/v1/models", "/v1/nothing" })
            {
                Assert.Equal(("storage_unavailable", HttpStatusCode.ServiceUnavailable), await RefusalAsync(client, HttpMethod.Get, path));
            }

            Assert.Equal(("invalid_api_key", HttpStatusCode.Unauthorized), await RefusalAsync(Anonymous, HttpMethod.Get, "/v1/sessions"));
        }
        finally
        {
            await system.Running.Storage.RestartAsync();
            await system.Running.WaitUntilHealthyAsync();
        }

        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);
    }

    [Fact]
    public async Task GatewayThatLostItsAdminKey_StaysClosed()
    {
        using var client = await system.Running.ClientOfAsync("ida");
        await system.Running.Gateway.StopAsync();
        await system.Running.Gateway.RestartAsync(("Identity__AdminKey", ""));
        try
        {
            Assert.Equal(("invalid_api_key", HttpStatusCode.Unauthorized), await RefusalAsync(Anonymous, HttpMethod.Get, "/v1/sessions"));
            Assert.Equal(("invalid_api_key", HttpStatusCode.Unauthorized), await RefusalAsync(Admin, HttpMethod.Get, "/admin/keys"));
            Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);
        }
        finally
        {
            await system.Running.Gateway.StopAsync();
            await system.Running.Gateway.RestartAsync(("Identity__AdminKey", RunningSystem.AdminKey));
        }
    }

    [Fact]
    public async Task NoKey_IsWrittenAnywhere()
    {
        var key = await MakeKeyAsync("jon");
        using var client = system.Running.ClientWith(key);
        await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false));
        await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: true, """{"fault":"error-500"}"""));
        await client.PostJsonAsync(Completions, "{");
        await client.GetJsonAsync($"/v1/nothing?key={key}");
        await Anonymous.SendJsonAsync(HttpMethod.Get, "/v1/sessions", headers: ("Authorization", $"Basic {key}"));
        await Anonymous.SendJsonAsync(HttpMethod.Get, "/v1/sessions", headers: ("x-api-key", key));

        // The lock file has no content, and cannot be opened.
        var written = Directory.EnumerateFiles(system.Running.VolumeDirectory, "*", SearchOption.AllDirectories).Where(file => !file.EndsWith(".lock", StringComparison.Ordinal)).ToArray();
        Assert.Contains(system.Running.DatabasePath, written);
        foreach (var secret in new[] { key[13..], RunningSystem.AdminKey })
        {
            foreach (var file in written)
            {
                Assert.True((await ReadSharedAsync(file)).AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)) < 0, $"{file} holds a key");
            }

            Assert.DoesNotContain(secret, system.Running.Gateway.Output + system.Running.Storage.Output, StringComparison.Ordinal);
        }
    }

    private async Task<string> MakeKeyAsync(string userId) =>
        (await Admin.PostJsonAsync("/admin/keys", $$"""{"user_id":"{{userId}}"}""")).Body.GetProperty("key").GetString()!;

    private static async Task<(string?, HttpStatusCode)> RefusalAsync(HttpClient client, HttpMethod method, string path, string? body = null)
    {
        var answer = await client.SendJsonAsync(method, path, body);
        return (answer.ErrorCode, answer.Status);
    }

    private static async Task<byte[]> ReadSharedAsync(string path)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var content = new MemoryStream();
        await file.CopyToAsync(content);
        return content.ToArray();
    }
}
