using System.Net;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>The tree behind a session through the REST surface: branches, heads, forks, deleted messages.</summary>
public sealed class BranchTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private HttpClient Client => system.Client;

    [Fact]
    public async Task Branch_IsThePathToAMessage()
    {
        var (session, ids) = await NewSessionAsync("1", "2", "3");
        await PatchHeadAsync(session, ids[0]);
        var other = await AppendAsync(session, "2b");

        Assert.Equal("1 2 3 2b|4|False", await ListedAsync($"/v1/sessions/{session}/messages"));
        Assert.Equal("1 2b|2|False", await ListedAsync($"/v1/sessions/{session}/messages?branch=head"));
        Assert.Equal("1 2 3|3|False", await ListedAsync($"/v1/sessions/{session}/messages?branch={ids[2]}"));
        Assert.Equal("3 2|3|True", await ListedAsync($"/v1/sessions/{session}/messages?branch={ids[2]}&order=desc&limit=2"));
        Assert.Equal("2|3|True", await ListedAsync($"/v1/sessions/{session}/messages?branch={ids[2]}&offset=1&limit=1"));
        Assert.Equal("3|3|False", await ListedAsync($"/v1/sessions/{session}/messages?branch={ids[2]}&after=2"));
        Assert.Equal((session, 1, other), await HeadAsync(session));
    }

    [Fact]
    public async Task Children_AreTheBranchesThatBeginThere()
    {
        var (session, ids) = await NewSessionAsync("1", "2", "3");
        await PatchHeadAsync(session, ids[0]);
        await AppendAsync(session, "2b");

        var children = (await Client.GetJsonAsync($"/v1/sessions/{session}/messages/{ids[0]}/children")).Body.GetProperty("messages");
        var one = (await Client.GetJsonAsync($"/v1/sessions/{session}/messages/{ids[1]}")).Body;
        var path = (await Client.GetJsonAsync($"/v1/sessions/{session}/messages?branch=head")).Body.GetProperty("messages");

        Assert.Equal([("2", 1), ("2b", 0)], children.EnumerateArray().Select(child => (child.GetProperty("content").GetString()!, child.GetProperty("children").GetInt32())));
        Assert.Equal((ids[1], ids[0], "2"), (one.GetProperty("message_id").GetString(), one.GetProperty("parent_id").GetString(), one.GetProperty("content").GetString()));
        Assert.Equal(2, path[0].GetProperty("children").GetInt32());
        Assert.False(one.TryGetProperty("children", out _));
    }

    [Fact]
    public async Task Fork_GoesOnFromWhatItInherits()
    {
        var (session, ids) = await NewSessionAsync("fork one", "fork two", "fork three");

        var fork = await Client.PostJsonAsync($"/v1/sessions/{session}/fork", $$"""{"message_id":"{{ids[1]}}","title":"Another way"}""");
        var forkId = fork.Body.GetProperty("session_id").GetString()!;
        var prompt = NewPrompt();
        var turn = await Client.PostJsonAsync(Completions, Body(prompt, stream: false, more: $"\"session_id\":\"{forkId}\""));
        await Client.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{session}");

        Assert.Equal((HttpStatusCode.Created, "Another way", ids[1], 2), (
            fork.Status, fork.Body.GetProperty("title").GetString(), fork.Body.GetProperty("forked_from").GetString(), fork.Body.GetProperty("message_count").GetInt32()));
        Assert.Equal(HttpStatusCode.OK, turn.Status);
        var sent = Assert.Single(await system.Simulator.RequestsWithAsync(prompt)).GetProperty("body").GetProperty("messages").EnumerateArray();
        Assert.Equal(["fork one", "fork two", prompt], sent.Select(message => message.GetProperty("content").GetString()));
        var messages = await Client.MessagesOfAsync(forkId);
        Assert.Equal(["fork one", "fork two", prompt], messages.SkipLast(1).Select(message => message.GetProperty("content").GetString()));
        Assert.Equal(4, (await Client.GetJsonAsync($"/v1/sessions/{forkId}")).Body.GetProperty("message_count").GetInt32());
    }

    [Fact]
    public async Task Fork_WithoutABody_BeginsAtTheHead()
    {
        var (session, ids) = await NewSessionAsync("1", "2");

        var fork = await Client.SendJsonAsync(HttpMethod.Post, $"/v1/sessions/{session}/fork");

        Assert.Equal((HttpStatusCode.Created, ids[1]), (fork.Status, fork.Body.GetProperty("forked_from").GetString()));
    }

    [Fact]
    public async Task DeletedMessage_LeavesThePathClosed()
    {
        var (session, ids) = await NewSessionAsync("1", "2", "3");

        var deleted = await Client.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{session}/messages/{ids[1]}");
        var again = await Client.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{session}/messages/{ids[1]}");

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NotFound, "message_not_found"), (deleted.Status, again.Status, again.ErrorCode));
        Assert.Equal("1 3|2|False", await ListedAsync($"/v1/sessions/{session}/messages?branch=head"));
    }

    [Fact]
    public async Task Mistakes_AreNamed()
    {
        var (session, ids) = await NewSessionAsync("1", "2");
        var (other, others) = await NewSessionAsync("x");
        var fork = (await Client.PostJsonAsync($"/v1/sessions/{session}/fork", $$"""{"message_id":"{{ids[0]}}"}""")).Body.GetProperty("session_id").GetString()!;

        await AssertRefusedAsync(HttpMethod.Get, $"/v1/sessions/{session}/messages?branch={others[0]}", null, HttpStatusCode.NotFound, "message_not_found", "branch");
        await AssertRefusedAsync(HttpMethod.Get, $"/v1/sessions/{session}/messages/{others[0]}", null, HttpStatusCode.NotFound, "message_not_found", "message_id");
        await AssertRefusedAsync(HttpMethod.Get, $"/v1/sessions/{session}/messages/{others[0]}/children", null, HttpStatusCode.NotFound, "message_not_found", "message_id");
        await AssertRefusedAsync(HttpMethod.Get, "/v1/sessions/none/messages?branch=head", null, HttpStatusCode.NotFound, "session_not_found", "session_id");
        await AssertRefusedAsync(HttpMethod.Get, $"/v1/sessions/{session}/messages?branch=head&order=up", null, HttpStatusCode.BadRequest, "invalid_request", "order");
        await AssertRefusedAsync(HttpMethod.Patch, $"/v1/sessions/{session}", $$"""{"head_message_id":"{{others[0]}}"}""", HttpStatusCode.BadRequest, "invalid_request", "head_message_id");
        await AssertRefusedAsync(HttpMethod.Post, $"/v1/sessions/{session}/fork", $$"""{"message_id":"{{others[0]}}"}""", HttpStatusCode.BadRequest, "invalid_request", "message_id");
        await AssertRefusedAsync(HttpMethod.Delete, $"/v1/sessions/{fork}/messages/{ids[0]}", null, HttpStatusCode.BadRequest, "invalid_request", "message_id");
        Assert.Equal("x|1|False", await ListedAsync($"/v1/sessions/{other}/messages"));
    }

    private async Task AssertRefusedAsync(HttpMethod method, string path, string? body, HttpStatusCode status, string code, string param)
    {
        var answer = await Client.SendJsonAsync(method, path, body);
        Assert.Equal((status, code, param), (answer.Status, answer.ErrorCode, answer.Body.GetProperty("error").GetProperty("param").GetString()));
    }

    private async Task<(string SessionId, string[] MessageIds)> NewSessionAsync(params string[] contents)
    {
        var session = (await Client.PostJsonAsync("/v1/sessions", """{"user_id":"branches"}""")).Body.GetProperty("session_id").GetString()!;
        var ids = new List<string>();
        foreach (var content in contents)
        {
            ids.Add(await AppendAsync(session, content));
        }

        return (session, [.. ids]);
    }

    private async Task<string> AppendAsync(string session, string content) =>
        (await Client.PostJsonAsync($"/v1/sessions/{session}/messages", $$"""{"role":"user","content":"{{content}}"}""")).Body.GetProperty("message_id").GetString()!;

    private async Task PatchHeadAsync(string session, string messageId)
    {
        var answer = await Client.SendJsonAsync(HttpMethod.Patch, $"/v1/sessions/{session}", $$"""{"head_message_id":"{{messageId}}"}""");
        Assert.Equal((HttpStatusCode.OK, messageId), (answer.Status, answer.Body.GetProperty("head_message_id").GetString()));
    }

    private async Task<(string? Session, int Roots, string? Head)> HeadAsync(string sessionId)
    {
        var session = (await Client.GetJsonAsync($"/v1/sessions/{sessionId}")).Body;
        var first = (await Client.MessagesOfAsync(sessionId)).Count(message => !message.TryGetProperty("parent_id", out _));
        return (session.GetProperty("session_id").GetString(), first, session.GetProperty("head_message_id").GetString());
    }

    private async Task<string> ListedAsync(string path)
    {
        var list = (await Client.GetJsonAsync(path)).Body;
        var contents = list.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("content").GetString());
        return $"{string.Join(' ', contents)}|{list.GetProperty("total").GetInt32()}|{list.GetProperty("has_more").GetBoolean()}";
    }
}
