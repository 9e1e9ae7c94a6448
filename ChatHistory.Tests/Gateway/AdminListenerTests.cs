using System.Net;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>Keys and backups are managed on a listener of their own; on the other one their paths do not exist, whatever a request says about itself.</summary>
public sealed class AdminListenerTests(KeyedSystem keyed, PersonalSystem personal) : IClassFixture<KeyedSystem>, IClassFixture<PersonalSystem>
{
    private static readonly string[] s_paths = ["/admin/keys", "/admin", "/ADMIN/Keys", "/admin/keys/abcdefgh", "/%61dmin/keys", "/admin/nothing"];

    private Uri Public => keyed.Running.Gateway.Addresses[0];

    private Uri Admin => keyed.Running.Gateway.AdminAddress;

    [Fact]
    public async Task PublicListener_HasNoAdminRoutes()
    {
        using var administrator = keyed.Running.ClientWith(RunningSystem.AdminKey);
        using var user = await keyed.Running.ClientOfAsync("ada");
        foreach (var client in new[] { administrator, user, keyed.Client, personal.Client })
        {
            foreach (var method in new[] { HttpMethod.Get, HttpMethod.Post, HttpMethod.Put, HttpMethod.Delete, HttpMethod.Options })
            {
                var unknown = await client.SendJsonAsync(method, "/nothing/keys", """{"user_id":"eve"}""");
                foreach (var path in s_paths)
                {
                    var answer = await client.SendJsonAsync(method, path, """{"user_id":"eve"}""");

                    Assert.Equal(HttpStatusCode.NotFound, answer.Status);
                    Assert.Equal(unknown.Text.Replace("/nothing/keys", Uri.UnescapeDataString(path), StringComparison.Ordinal), answer.Text);
                    Assert.Equal(unknown.Headers.Keys.Order(), answer.Headers.Keys.Order());
                }
            }
        }

        Assert.DoesNotContain("eve", (await keyed.Admin.GetJsonAsync("/admin/keys")).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AdminListener_ServesNothingElse()
    {
        using var user = keyed.Running.ClientWith((await keyed.Admin.PostJsonAsync("/admin/keys", """{"user_id":"bob"}""")).Body.GetProperty("key").GetString()!, Admin);
        foreach (var path in new[] { "/v1/sessions", "/v1/models", "/v1/chat/completions", "/V1/sessions", "/tokenize", "/openapi/v1.json", "/scalar", "/", "/health/x", "/nothing" })
        {
            Assert.Equal((HttpStatusCode.NotFound, "unknown_url"), await RefusalAsync(user, HttpMethod.Get, path));
            Assert.Equal((HttpStatusCode.NotFound, "unknown_url"), await RefusalAsync(personal.Running.AdminClient, HttpMethod.Post, path));
        }

        foreach (var path in new[] { "/health", "/alive" })
        {
            using var health = await keyed.Running.AdminClient.GetAsync(path);
            Assert.Equal(HttpStatusCode.OK, health.StatusCode);
        }

        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_api_key"), await RefusalAsync(keyed.Running.AdminClient, HttpMethod.Get, "/admin/nothing"));
        Assert.Equal((HttpStatusCode.NotFound, "unknown_url"), await RefusalAsync(keyed.Admin, HttpMethod.Get, "/admin/nothing"));
    }

    [Fact]
    public async Task Listener_IsTheConnections_NotTheHostHeaders()
    {
        var hosts = new[] { Admin.Authority, "admin", "127.0.0.1:8079", "localhost" };
        foreach (var host in hosts)
        {
            foreach (var more in new[] { "", $"X-Forwarded-Host: {host}\r\n", $"X-Forwarded-Port: {Admin.Port}\r\n", $"Forwarded: host={host}\r\n" })
            {
                Assert.StartsWith("HTTP/1.1 404 ", await HeadAsync(Public, "/admin/keys", host, more), StringComparison.Ordinal);
                Assert.StartsWith("HTTP/1.1 404 ", await HeadAsync(Public, $"http://{host}/admin/keys", host, more), StringComparison.Ordinal);
                Assert.StartsWith("HTTP/1.1 200 ", await HeadAsync(Admin, "/admin/keys", Public.Authority, more), StringComparison.Ordinal);
            }
        }
    }

    /// <summary>In personal mode there is no key to ask for; a web page must not be able to use its reader's browser instead.</summary>
    [Theory]
    [InlineData("POST", "127.0.0.1:8079", "Content-Type: application/json", 404)]
    [InlineData("POST", "localhost:8079", "Content-Type: application/json", 404)]
    [InlineData("POST", "[::1]:8079", "X-ChatHistory-Operator: 1", 404)]
    [InlineData("GET", "127.0.0.1:8079", "Accept: */*", 404)]
    [InlineData("POST", "127.0.0.1:8079", "Content-Type: text/plain", 403)]
    [InlineData("POST", "127.0.0.1:8079", "Content-Type: application/x-www-form-urlencoded", 403)]
    [InlineData("POST", "127.0.0.1:8079", "Accept: */*", 403)]
    [InlineData("DELETE", "127.0.0.1:8079", "Accept: */*", 403)]
    [InlineData("POST", "127.0.0.1:8079", "Content-Type: application/json\r\nOrigin: https://evil.example", 403)]
    [InlineData("POST", "127.0.0.1:8079", "Content-Type: application/json\r\nOrigin: null", 403)]
    [InlineData("GET", "rebound.evil.example", "Accept: */*", 403)]
    [InlineData("POST", "rebound.evil.example:8079", "Content-Type: application/json", 403)]
    [InlineData("POST", "127.0.0.1.evil.example", "Content-Type: application/json\r\nOrigin: http://127.0.0.1.evil.example", 403)]
    public async Task PersonalMode_AnswersProgramsOnThisMachine_NotWebPages(string method, string host, string header, int status)
    {
        // A path without a route: what is let through is a 404.
        using var connection = await RawConnection.SendAsync(
            personal.Running.Gateway.AdminAddress, $"{method} /admin/nothing HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Length: 2\r\n\r\n{{}}");

        await connection.ReadUntilAsync(_ => true);

        Assert.StartsWith($"HTTP/1.1 {status} ", connection.Head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PersonalMode_ManagesNoKeys()
    {
        Assert.Equal((HttpStatusCode.Forbidden, "forbidden"), await RefusalAsync(personal.Running.AdminClient, HttpMethod.Get, "/admin/keys"));
        Assert.Equal((HttpStatusCode.Forbidden, "forbidden"), await RefusalAsync(personal.Running.AdminClient, HttpMethod.Post, "/admin/keys"));
    }

    [Fact]
    public async Task Document_SaysWhereTheyAre()
    {
        var paths = (await keyed.Client.GetJsonAsync("/openapi/v1.json")).Body.GetProperty("paths").EnumerateObject()
            .Where(path => path.Name.StartsWith("/admin", StringComparison.Ordinal)).ToArray();

        Assert.NotEmpty(paths);
        Assert.All(paths.SelectMany(path => path.Value.EnumerateObject()), operation =>
        {
            Assert.Contains("admin listener", operation.Value.GetProperty("description").GetString(), StringComparison.Ordinal);
            Assert.Equal("http://127.0.0.1:{port}", operation.Value.GetProperty("servers")[0].GetProperty("url").GetString());
        });
    }

    private static async Task<string> HeadAsync(Uri listener, string path, string host, string headers)
    {
        using var connection = await RawConnection.SendAsync(
            listener, $"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {RunningSystem.AdminKey}\r\n{headers}\r\n");
        await connection.ReadUntilAsync(_ => true);
        return connection.Head;
    }

    private static async Task<(HttpStatusCode, string?)> RefusalAsync(HttpClient client, HttpMethod method, string path)
    {
        var answer = await client.SendJsonAsync(method, path, method == HttpMethod.Get ? null : "{}");
        return (answer.Status, answer.ErrorCode);
    }
}
