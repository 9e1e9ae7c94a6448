using System.Net;
using System.Text.Json;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>The user's own description of the API: routes, fields, defaults and statuses.</summary>
public sealed class SeedApiTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private HttpClient Client => system.Client;

    [Fact]
    public async Task CreateSession_AnswersTheSeedsFields()
    {
        var created = await Client.PostJsonAsync("/v1/sessions", """{"user_id":"ada","title":"Engines"}""");

        Assert.Equal(HttpStatusCode.Created, created.Status);
        Assert.Equal(("ada", "Engines"), (created.Body.GetProperty("user_id").GetString(), created.Body.GetProperty("title").GetString()));
        Assert.True(Guid.TryParse(created.Body.GetProperty("session_id").GetString(), out _));
        Assert.Equal(DateTimeKind.Utc, created.Body.GetProperty("created_at").GetDateTime().Kind);
    }

    [Fact]
    public async Task CreateSession_WithoutATitle_IsANewConversation() =>
        Assert.Equal("New Conversation", (await Client.PostJsonAsync("/v1/sessions", """{"user_id":"ada"}""")).Body.GetProperty("title").GetString());

    [Theory]
    [InlineData("{}", "user_id")]
    [InlineData("""{"user_id":7}""", "user_id")]
    [InlineData("""{"user_id":"a","metadata":[]}""", "metadata")]
    public async Task CreateSession_WithAMistake_NamesIt(string body, string param)
    {
        var answer = await Client.PostJsonAsync("/v1/sessions", body);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal(param, answer.Body.GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task AppendMessage_AnswersTheSeedsFieldsAndIsListed()
    {
        var sessionId = await CreateSessionAsync("bea");

        var user = await Client.PostJsonAsync($"/v1/sessions/{sessionId}/messages", """{"role":"user","content":"你好"}""");
        var assistant = await Client.PostJsonAsync($"/v1/sessions/{sessionId}/messages", """{"role":"assistant","content":"您好","model":"m","tokens":3}""");

        Assert.Equal((HttpStatusCode.Created, HttpStatusCode.Created), (user.Status, assistant.Status));
        Assert.Equal(sessionId, user.Body.GetProperty("session_id").GetString());
        var list = (await Client.GetJsonAsync($"/v1/sessions/{sessionId}/messages")).Body;
        Assert.Equal((2, sessionId, 50, 0), (
            list.GetProperty("total").GetInt32(),
            list.GetProperty("session_info").GetProperty("session_id").GetString(),
            list.GetProperty("limit").GetInt32(),
            list.GetProperty("offset").GetInt32()));
        Assert.Equal(
            [("user", "你好", null, 0), ("assistant", "您好", "m", 3)],
            list.GetProperty("messages").EnumerateArray().Select(message => (
                message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()!, message.GetProperty("model").GetString(), message.GetProperty("tokens").GetInt32())));
        Assert.Equal(
            (user.Body.GetProperty("message_id").GetString(), user.Body.GetProperty("created_at").GetString()),
            (list.GetProperty("messages")[0].GetProperty("message_id").GetString(), list.GetProperty("messages")[0].GetProperty("created_at").GetString()));
    }

    [Theory]
    [InlineData("""{"content":"no role"}""", "role")]
    [InlineData("""{"role":"user"}""", "content")]
    [InlineData("""{"role":"robot","content":"x"}""", "role")]
    [InlineData("""{"role":"user","content":5}""", "content")]
    [InlineData("""{"role":"user","content":"x","tokens":"many"}""", "tokens")]
    public async Task AppendMessage_WithAMistake_NamesIt(string body, string param)
    {
        var sessionId = await CreateSessionAsync("bea");

        var answer = await Client.PostJsonAsync($"/v1/sessions/{sessionId}/messages", body);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal(param, answer.Body.GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task Messages_ArePagedByOffsetAndByCursor()
    {
        var sessionId = await CreateSessionAsync("cleo");
        for (var i = 1; i <= 5; i++)
        {
            await Client.PostJsonAsync($"/v1/sessions/{sessionId}/messages", $$"""{"role":"user","content":"{{i}}"}""");
        }

        Assert.Equal(["3", "4"], await ContentsAsync($"/v1/sessions/{sessionId}/messages?limit=2&offset=2"));
        Assert.Equal(["4", "5"], await ContentsAsync($"/v1/sessions/{sessionId}/messages?after=3"));
        Assert.Equal(["5", "4"], await ContentsAsync($"/v1/sessions/{sessionId}/messages?order=desc&limit=2"));
        var last = (await Client.GetJsonAsync($"/v1/sessions/{sessionId}/messages?limit=2&offset=4")).Body;
        Assert.Equal((5, false), (last.GetProperty("total").GetInt32(), last.GetProperty("has_more").GetBoolean()));
    }

    [Fact]
    public async Task Sessions_AreListedByLastActivityAndPaged()
    {
        var first = await CreateSessionAsync("dora");
        var second = await CreateSessionAsync("dora");
        var third = await CreateSessionAsync("dora");
        await Client.PostJsonAsync($"/v1/sessions/{first}/messages", """{"role":"user","content":"again"}""");

        var page = (await Client.GetJsonAsync("/v1/sessions?user_id=dora&limit=2")).Body;
        var next = (await Client.GetJsonAsync($"/v1/sessions?user_id=dora&limit=2&after={Uri.EscapeDataString(page.GetProperty("next").GetString()!)}")).Body;
        var byOffset = (await Client.GetJsonAsync("/v1/sessions?user_id=dora&limit=2&offset=2")).Body;

        Assert.Equal([first, third], SessionIds(page));
        Assert.Equal([second], SessionIds(next));
        Assert.Equal([second], SessionIds(byOffset));
        Assert.Equal((3, true, false), (page.GetProperty("total").GetInt32(), page.GetProperty("has_more").GetBoolean(), next.GetProperty("has_more").GetBoolean()));
    }

    [Fact]
    public async Task History_HoldsSessionsWithTheirMessages()
    {
        var first = await CreateSessionAsync("emil");
        await Client.PostJsonAsync($"/v1/sessions/{first}/messages", """{"role":"user","content":"one"}""");
        var second = await CreateSessionAsync("emil");
        await Client.PostJsonAsync($"/v1/sessions/{second}/messages", """{"role":"user","content":"two"}""");

        var history = (await Client.GetJsonAsync("/v1/users/emil/history")).Body;

        Assert.Equal(("emil", 2), (history.GetProperty("user_id").GetString(), history.GetProperty("total").GetInt32()));
        Assert.Equal([second, first], SessionIds(history));
        Assert.Equal(
            ["two", "one"],
            history.GetProperty("sessions").EnumerateArray().Select(session => session.GetProperty("messages")[0].GetProperty("content").GetString()));
        Assert.Equal(HttpStatusCode.NotFound, (await Client.GetJsonAsync("/v1/users/nobody/history")).Status);
    }

    [Fact]
    public async Task DeleteSession_RemovesItWithItsMessages()
    {
        var sessionId = await CreateSessionAsync("finn");
        await Client.PostJsonAsync($"/v1/sessions/{sessionId}/messages", """{"role":"user","content":"x"}""");

        Assert.Equal((HttpStatusCode.NoContent, ""), await StatusAndTextAsync(HttpMethod.Delete, $"/v1/sessions/{sessionId}"));

        Assert.Equal(HttpStatusCode.NotFound, (await Client.GetJsonAsync($"/v1/sessions/{sessionId}/messages")).Status);
        var again = await Client.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{sessionId}");
        Assert.Equal((HttpStatusCode.NotFound, "session_not_found"), (again.Status, again.ErrorCode));
    }

    [Fact]
    public async Task PatchSession_ChangesTitleMetadataAndActivity()
    {
        var sessionId = await CreateSessionAsync("gus");

        var patched = await Client.SendJsonAsync(HttpMethod.Patch, $"/v1/sessions/{sessionId}", """{"title":"标题","metadata":{"k":[1,2]},"is_active":false}""");

        Assert.Equal(HttpStatusCode.OK, patched.Status);
        var read = (await Client.GetJsonAsync($"/v1/sessions/{sessionId}")).Body;
        Assert.Equal(("标题", "[1,2]", false), (
            read.GetProperty("title").GetString(), read.GetProperty("metadata").GetProperty("k").GetRawText(), read.GetProperty("is_active").GetBoolean()));
    }

    [Fact]
    public async Task DefaultUserAndSession_AreThere()
    {
        var sessions = (await Client.GetJsonAsync("/v1/sessions")).Body.GetProperty("sessions").EnumerateArray();

        Assert.Contains(sessions, session => session.GetProperty("session_id").GetString() == "session_001" && session.GetProperty("title").GetString() == "First Conversation");
    }

    [Theory]
    [InlineData("?limit=0", "limit")]
    [InlineData("?limit=x", "limit")]
    [InlineData("?offset=-1", "offset")]
    [InlineData("?limit=1001", "limit")]
    public async Task Lists_WithABadPage_NameTheParameter(string query, string param)
    {
        foreach (var path in new[] { "/v1/sessions", "/v1/sessions/session_001/messages", "/v1/users/default_user/history" })
        {
            var answer = await Client.GetJsonAsync(path + query);

            Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
            Assert.Equal(param, answer.Body.GetProperty("error").GetProperty("param").GetString());
        }
    }

    private async Task<string> CreateSessionAsync(string userId) =>
        (await Client.PostJsonAsync("/v1/sessions", $$"""{"user_id":"{{userId}}"}""")).Body.GetProperty("session_id").GetString()!;

    private async Task<IEnumerable<string?>> ContentsAsync(string path) =>
        (await Client.GetJsonAsync(path)).Body.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("content").GetString());

    private async Task<(HttpStatusCode, string)> StatusAndTextAsync(HttpMethod method, string path)
    {
        var answer = await Client.SendJsonAsync(method, path);
        return (answer.Status, answer.Text);
    }

    private static IEnumerable<string?> SessionIds(JsonElement list) =>
        list.GetProperty("sessions").EnumerateArray().Select(session => session.GetProperty("session_id").GetString());
}
