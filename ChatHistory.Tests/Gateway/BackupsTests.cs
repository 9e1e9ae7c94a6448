using System.Net;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>Backups as operators use them: routes of the admin listener.</summary>
public sealed class BackupsTests(KeyedSystem keyed, PersonalSystem personal) : IClassFixture<KeyedSystem>, IClassFixture<PersonalSystem>
{
    private const string Backups = "/admin/backups";

    [Fact]
    public async Task Operator_MakesListsVerifiesAndRestores_WithoutARestart()
    {
        using var user = await keyed.Running.ClientOfAsync("rita");
        var before = await user.PostJsonAsync(ChatRequests.Completions, ChatRequests.Body("before", stream: false));

        var made = await keyed.Admin.PostJsonAsync(Backups, "{}");
        var name = made.Body.GetProperty("name").GetString();
        var after = await user.PostJsonAsync(ChatRequests.Completions, ChatRequests.Body("after", stream: false));
        var verified = await keyed.Admin.PostJsonAsync($"{Backups}/{name}/verify", "{}");
        var restored = await keyed.Admin.PostJsonAsync($"{Backups}/latest/restore", "{}");
        var again = await keyed.Admin.PostJsonAsync($"{Backups}/latest/restore", "{}");
        var list = await keyed.Admin.GetJsonAsync(Backups);

        Assert.Equal((HttpStatusCode.Created, "requested"), (made.Status, made.Body.GetProperty("reason").GetString()));
        Assert.Equal((HttpStatusCode.OK, made.Text), (verified.Status, verified.Text));
        Assert.Equal((HttpStatusCode.OK, name), (restored.Status, restored.Body.GetProperty("restored").GetProperty("name").GetString()));
        // Asked for twice, the latest is the same one, and not what was just given up for it.
        Assert.Equal((HttpStatusCode.OK, name), (again.Status, again.Body.GetProperty("restored").GetProperty("name").GetString()));
        Assert.Equal(["replaced", "replaced", "requested"], list.Body.GetProperty("backups").EnumerateArray().Take(3).Select(backup => backup.GetProperty("reason").GetString()));
        Assert.True(list.Body.GetProperty("age_seconds").GetDouble() >= 0);
        Assert.Equal(2, (await user.MessagesOfAsync(before.SessionId)).Length);
        Assert.Equal(HttpStatusCode.NotFound, (await user.GetJsonAsync($"/v1/sessions/{after.SessionId}")).Status);
    }

    [Fact]
    public async Task RevokedKey_DoesNotComeBackWithABackup()
    {
        var key = (await keyed.Admin.PostJsonAsync("/admin/keys", """{"user_id":"zoe"}""")).Body;
        using var client = keyed.Running.ClientWith(key.GetProperty("key").GetString()!);
        await keyed.Admin.PostJsonAsync(Backups, "{}");
        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);
        await keyed.Admin.SendJsonAsync(HttpMethod.Delete, $"/admin/keys/{key.GetProperty("key_id").GetString()}");

        var restored = await keyed.Admin.PostJsonAsync($"{Backups}/latest/restore", "{}");

        Assert.Equal(1, restored.Body.GetProperty("keys_kept_revoked").GetInt32());
        await Eventually.GetAsync(async () => (await client.GetJsonAsync("/v1/sessions")).Status, status => status == HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task OnlyOperators_GetThere()
    {
        using var user = keyed.Running.ClientWith((await keyed.Admin.PostJsonAsync("/admin/keys", """{"user_id":"rita"}""")).Body.GetProperty("key").GetString()!, keyed.Running.Gateway.AdminAddress);
        using var stranger = new HttpClient { BaseAddress = keyed.Running.Gateway.AdminAddress };
        foreach (var (method, path) in new[] { (HttpMethod.Get, Backups), (HttpMethod.Post, Backups), (HttpMethod.Post, $"{Backups}/latest/restore"), (HttpMethod.Post, $"{Backups}/latest/verify") })
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await stranger.SendJsonAsync(method, path, "{}")).Status);
            Assert.Equal(HttpStatusCode.Forbidden, (await user.SendJsonAsync(method, path, "{}")).Status);
            Assert.Equal(HttpStatusCode.NotFound, (await keyed.Client.SendJsonAsync(method, path, "{}")).Status);
        }
    }

    [Fact]
    public async Task PersonalMode_NeedsNoKey_AndKeepsWebPagesOut()
    {
        var admin = personal.Running.AdminClient;
        using var simple = new HttpRequestMessage(HttpMethod.Post, Backups);
        using var refused = await admin.SendAsync(simple);

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Equal(HttpStatusCode.Created, (await admin.SendJsonAsync(HttpMethod.Post, Backups, null, ("X-ChatHistory-Operator", "1"))).Status);
    }

    [Theory]
    [InlineData("chat-000099-20260101T000000Z.db")]
    [InlineData("..%2F..%2Fchat.db")]
    [InlineData("%2Fetc%2Fpasswd")]
    public async Task UnknownBackup_IsNotFound(string name)
    {
        var answer = await keyed.Admin.PostJsonAsync($"{Backups}/{name}/restore", "{}");

        Assert.Equal((HttpStatusCode.NotFound, "backup_not_found"), (answer.Status, answer.ErrorCode));
        Assert.Contains("GET /admin/backups", answer.ErrorMessage, StringComparison.Ordinal);
    }
}
