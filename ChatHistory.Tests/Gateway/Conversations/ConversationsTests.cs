using System.Net;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.Conversations;

/// <summary>OpenAI's conversations over HTTP: the sessions by other names. Each test has a user of its own.</summary>
public sealed class ConversationsTests(KeyedSystem system) : IClassFixture<KeyedSystem>
{
    private const string Conversations = "/v1/conversations";

    [Fact]
    public async Task Conversation_IsCreatedReadChangedAndDeleted()
    {
        using var client = await system.Running.ClientOfAsync("cv-crud");

        var created = await client.PostJsonAsync(Conversations, """{"metadata":{"topic":"engines"},"items":[{"type":"message","role":"user","content":"Hello"}]}""");
        var id = created.Body.GetProperty("id").GetString()!;
        var read = await client.GetJsonAsync($"{Conversations}/{id}");
        var changed = await client.PostJsonAsync($"{Conversations}/{id}", """{"metadata":{"topic":"looms"}}""");
        var session = await client.GetJsonAsync($"/v1/sessions/{SessionOf(id)}");
        var deleted = await client.SendJsonAsync(HttpMethod.Delete, $"{Conversations}/{id}");

        Assert.Equal(HttpStatusCode.OK, created.Status);
        Assert.Equal(["id", "object", "created_at", "metadata"], created.Body.EnumerateObject().Select(member => member.Name));
        Assert.Equal(("conversation", """{"topic":"engines"}"""), (created.Body.GetProperty("object").GetString(), created.Body.GetProperty("metadata").GetRawText()));
        Assert.Equal(created.Text, read.Text);
        Assert.Equal("""{"topic":"looms"}""", changed.Body.GetProperty("metadata").GetRawText());
        Assert.Equal((1, "New Conversation", "cv-crud"), (
            session.Body.GetProperty("message_count").GetInt32(), session.Body.GetProperty("title").GetString(), session.Body.GetProperty("user_id").GetString()));
        Assert.Equal((HttpStatusCode.OK, $$"""{"id":"{{id}}","object":"conversation.deleted","deleted":true}"""), (deleted.Status, deleted.Text));
        Assert.Equal((HttpStatusCode.NotFound, "conversation_not_found"), (await StatusAsync(client, $"{Conversations}/{id}")));
        Assert.Equal((HttpStatusCode.NotFound, "session_not_found"), (await StatusAsync(client, $"/v1/sessions/{SessionOf(id)}")));
    }

    [Fact]
    public async Task Conversation_NeedsNoBody()
    {
        using var client = await system.Running.ClientOfAsync("cv-empty");

        var created = await client.SendJsonAsync(HttpMethod.Post, Conversations);

        Assert.Equal((HttpStatusCode.OK, "{}"), (created.Status, created.Body.GetProperty("metadata").GetRawText()));
        var items = (await client.GetJsonAsync($"{Conversations}/{created.Body.GetProperty("id").GetString()}/items")).Body;
        Assert.Equal("""{"object":"list","data":[],"first_id":"","last_id":"","has_more":false}""", items.GetRawText());
    }

    [Fact]
    public async Task Turns_AreItems_AndItemsArePrompts()
    {
        using var client = await system.Running.ClientOfAsync("cv-turns");
        var prompt = NewPrompt();
        var turn = await client.PostJsonAsync(Completions, Body(prompt, stream: false));
        var answer = turn.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString();

        var added = await client.PostJsonAsync($"{Conversations}/conv_{turn.SessionId}/items", """{"items":[{"role":"user","content":[{"type":"input_text","text":"by the way"}]}]}""");
        var next = NewPrompt();
        await client.PostJsonAsync(Completions, Body(next, stream: false, more: $"\"session_id\":\"{turn.SessionId}\""));

        Assert.Equal("list", added.Body.GetProperty("object").GetString());
        var sent = Assert.Single(await system.Simulator.RequestsWithAsync(next)).GetProperty("body").GetProperty("messages");
        Assert.Equal([prompt, answer, "by the way", next], sent.EnumerateArray().Select(message => message.GetProperty("content").GetString()));
        var items = (await client.GetJsonAsync($"{Conversations}/{turn.SessionId}/items?order=asc")).Body.GetProperty("data");
        Assert.Equal(
            [("user", "input_text", prompt), ("assistant", "output_text", answer), ("user", "input_text", "by the way"), ("user", "input_text", next)],
            items.EnumerateArray().SkipLast(1).Select(item => (
                item.GetProperty("role").GetString()!, item.GetProperty("content")[0].GetProperty("type").GetString()!, item.GetProperty("content")[0].GetProperty("text").GetString())));
        Assert.Equal(items[0].GetRawText(), (await client.GetJsonAsync($"{Conversations}/conv_{turn.SessionId}/items/{items[0].GetProperty("id").GetString()}")).Text);
    }

    [Fact]
    public async Task Items_OfOneStepArePagedOneByOne()
    {
        using var client = await system.Running.ClientOfAsync("cv-items");
        var id = await NewAsync(client);
        var added = await client.PostJsonAsync($"{Conversations}/{id}/items", StepWithTwoCalls);
        var expected = added.Body.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString()!).ToArray();

        Assert.Equal(
            ["message", "reasoning", "message", "function_call", "function_call", "function_call_output", "message"],
            added.Body.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("type").GetString()));
        for (var limit = 1; limit <= 8; limit++)
        {
            Assert.Equal(expected, await PagedAsync(client, $"{Conversations}/{id}/items?order=asc", limit));
            Assert.Equal(Enumerable.Reverse(expected), await PagedAsync(client, $"{Conversations}/{id}/items", limit));
        }
    }

    [Fact]
    public async Task Item_IsDeletedAlone()
    {
        using var client = await system.Running.ClientOfAsync("cv-delete");
        var id = await NewAsync(client);
        var added = (await client.PostJsonAsync($"{Conversations}/{id}/items", StepWithTwoCalls)).Body.GetProperty("data");
        var ids = added.EnumerateArray().Select(item => item.GetProperty("id").GetString()!).ToArray();

        // The question, the step's text, and its first call.
        foreach (var index in new[] { 0, 2, 3 })
        {
            var deleted = await client.SendJsonAsync(HttpMethod.Delete, $"{Conversations}/{id}/items/{ids[index]}");
            Assert.Equal((HttpStatusCode.OK, "conversation", id), (deleted.Status, deleted.Body.GetProperty("object").GetString(), deleted.Body.GetProperty("id").GetString()));
        }

        var left = (await client.GetJsonAsync($"{Conversations}/{id}/items?order=asc")).Body.GetProperty("data");
        Assert.Equal(["reasoning", "function_call", "function_call_output", "message"], left.EnumerateArray().Select(item => item.GetProperty("type").GetString()));
        Assert.Equal("call_2", left[1].GetProperty("call_id").GetString());
        Assert.Equal((HttpStatusCode.NotFound, "item_not_found"), await StatusAsync(client, $"{Conversations}/{id}/items/{ids[0]}"));
    }

    [Fact]
    public async Task Items_CanBeReferredTo()
    {
        using var client = await system.Running.ClientOfAsync("cv-refer");
        var first = await NewAsync(client);
        var item = (await client.PostJsonAsync($"{Conversations}/{first}/items", """{"items":[{"role":"user","content":"said once"}]}""")).Body.GetProperty("data")[0].GetProperty("id").GetString();

        var second = await client.PostJsonAsync(Conversations, $$"""{"items":[{"type":"item_reference","id":"{{item}}"}]}""");
        var unknown = await client.PostJsonAsync(Conversations, """{"items":[{"type":"item_reference","id":"msg_none"}]}""");

        var copied = (await client.GetJsonAsync($"{Conversations}/{second.Body.GetProperty("id").GetString()}/items")).Body.GetProperty("data")[0];
        Assert.Equal("said once", copied.GetProperty("content")[0].GetProperty("text").GetString());
        Assert.Equal((HttpStatusCode.NotFound, "item_not_found"), (unknown.Status, unknown.ErrorCode));
    }

    [Fact]
    public async Task Conversations_AreListedFromAnyPlaceInBothOrders()
    {
        using var client = await system.Running.ClientOfAsync("cv-list");
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            ids.Add(await NewAsync(client));
        }

        // Activity moves a session in the list of sessions; it must not move one here, under a client that pages.
        await client.PostJsonAsync($"{Conversations}/{ids[0]}/items", """{"items":[{"role":"user","content":"again"}]}""");
        for (var limit = 1; limit <= 6; limit++)
        {
            Assert.Equal(ids, await PagedAsync(client, $"{Conversations}?order=asc", limit));
            Assert.Equal(Enumerable.Reverse(ids), await PagedAsync(client, Conversations, limit));
        }

        var before = (await client.GetJsonAsync($"{Conversations}?limit=2&before={ids[0]}")).Body;
        Assert.Equal([ids[2], ids[1]], before.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString()));
        Assert.True(before.GetProperty("has_more").GetBoolean());
        var nearest = (await client.GetJsonAsync($"{Conversations}?limit=2&order=asc&before={ids[1]}")).Body;
        Assert.Equal([ids[0]], nearest.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString()));
        Assert.False(nearest.GetProperty("has_more").GetBoolean());
    }

    [Fact]
    public async Task CurrentBranch_IsTheList()
    {
        using var client = await system.Running.ClientOfAsync("cv-branch");
        var id = await NewAsync(client);
        var added = (await client.PostJsonAsync($"{Conversations}/{id}/items", """{"items":[{"role":"user","content":"1"},{"role":"user","content":"2"}]}""")).Body.GetProperty("data");
        var (first, second) = (added[0].GetProperty("id").GetString()!, added[1].GetProperty("id").GetString()!);
        await client.SendJsonAsync(HttpMethod.Patch, $"/v1/sessions/{SessionOf(id)}", $$"""{"head_message_id":"{{first["msg_".Length..]}}"}""");
        await client.PostJsonAsync($"{Conversations}/{id}/items", """{"items":[{"role":"user","content":"2b"}]}""");

        var items = (await client.GetJsonAsync($"{Conversations}/{id}/items?order=asc")).Body.GetProperty("data");
        var offBranch = await client.GetJsonAsync($"{Conversations}/{id}/items?after={second}");

        Assert.Equal(["1", "2b"], items.EnumerateArray().Select(item => item.GetProperty("content")[0].GetProperty("text").GetString()));
        Assert.Equal((HttpStatusCode.BadRequest, "after"), (offBranch.Status, offBranch.Body.GetProperty("error").GetProperty("param").GetString()));
        // It is there all the same.
        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync($"{Conversations}/{id}/items/{second}")).Status);
    }

    [Fact]
    public async Task Mistakes_AreNamed()
    {
        using var client = await system.Running.ClientOfAsync("cv-mistakes");
        using var owner = await system.Running.ClientOfAsync("cv-owner");
        var theirs = await NewAsync(owner);
        var theirItem = (await owner.PostJsonAsync($"{Conversations}/{theirs}/items", """{"items":[{"role":"user","content":"secret"}]}""")).Body.GetProperty("data")[0].GetProperty("id").GetString();
        var mine = await NewAsync(client);
        const string Item = """{"items":[{"role":"user","content":"x"}]}""";

        foreach (var id in new[] { theirs, "conv_none", "none" })
        {
            await RefusedAsync(HttpMethod.Get, $"/{id}", null, 404, "conversation_not_found");
            await RefusedAsync(HttpMethod.Post, $"/{id}", """{"metadata":{}}""", 404, "conversation_not_found");
            await RefusedAsync(HttpMethod.Delete, $"/{id}", null, 404, "conversation_not_found");
            await RefusedAsync(HttpMethod.Get, $"/{id}/items", null, 404, "conversation_not_found");
            await RefusedAsync(HttpMethod.Get, $"/{id}/items?after=msg_x", null, 404, "conversation_not_found");
            await RefusedAsync(HttpMethod.Post, $"/{id}/items", Item, 404, "conversation_not_found");
            await RefusedAsync(HttpMethod.Get, $"/{id}/items/{theirItem}", null, 404, "conversation_not_found");
            await RefusedAsync(HttpMethod.Delete, $"/{id}/items/{theirItem}", null, 404, "conversation_not_found");
            await RefusedAsync(HttpMethod.Get, $"?after={id}", null, 400, "invalid_request", "after");
            await RefusedAsync(HttpMethod.Get, $"?before={id}", null, 400, "invalid_request", "before");
        }

        foreach (var item in new[] { theirItem, "msg_none", "none", "fc_x" })
        {
            await RefusedAsync(HttpMethod.Get, $"/{mine}/items/{item}", null, 404, "item_not_found", "item_id");
            await RefusedAsync(HttpMethod.Delete, $"/{mine}/items/{item}", null, 404, "item_not_found", "item_id");
            await RefusedAsync(HttpMethod.Get, $"/{mine}/items?after={item}", null, 400, "invalid_request", "after");
        }

        await RefusedAsync(HttpMethod.Get, $"/{mine}/items?limit=101", null, 400, "invalid_request", "limit");
        await RefusedAsync(HttpMethod.Get, $"/{mine}/items?order=up", null, 400, "invalid_request", "order");
        await RefusedAsync(HttpMethod.Get, $"?after={mine}&before={mine}", null, 400, "invalid_request", "before");
        await RefusedAsync(HttpMethod.Post, $"/{mine}", "{}", 400, "missing_required_parameter", "metadata");
        await RefusedAsync(HttpMethod.Post, $"/{mine}/items", "{}", 400, "missing_required_parameter", "items");
        await RefusedAsync(HttpMethod.Post, $"/{mine}/items", """{"items":"x"}""", 400, "invalid_request", "items");
        await RefusedAsync(HttpMethod.Post, $"/{mine}/items", $$"""{"items":[{{string.Join(',', Enumerable.Repeat("""{"role":"user","content":"x"}""", 21))}}]}""", 400, "invalid_request", "items");
        await RefusedAsync(HttpMethod.Post, $"/{mine}/items", """{"items":[{"type":"web_search_call"}]}""", 400, "unsupported_item", "items[0].type");
        await RefusedAsync(HttpMethod.Post, "", """{"items":[{"role":"robot","content":"x"}]}""", 400, "invalid_request", "items[0].role");
        await RefusedAsync(HttpMethod.Post, "", """{"metadata":{"a":1}}""", 400, "invalid_request", "metadata");

        Assert.Equal([mine], await PagedAsync(client, Conversations, 10));
        Assert.Equal([theirItem!], await PagedAsync(owner, $"{Conversations}/{theirs}/items", 10));

        async Task RefusedAsync(HttpMethod method, string path, string? body, int status, string code, string? param = null)
        {
            var answer = await client.SendJsonAsync(method, Conversations + path, body);
            Assert.True((int)answer.Status >= 400, $"{method} {path} gives {answer.Status} {answer.Text}");
            ErrorTests.AssertEnvelope(answer);
            Assert.Equal((status, code), ((int)answer.Status, answer.ErrorCode));
            Assert.True(param is null || param == answer.Body.GetProperty("error").GetProperty("param").GetString(), $"{method} {path} names {answer.Text}");
        }
    }

    private const string StepWithTwoCalls =
        """
        {"items":[
          {"type":"message","role":"user","content":"What is the weather?"},
          {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Two places."}]},
          {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Let me see."}]},
          {"type":"function_call","call_id":"call_1","name":"weather","arguments":"{\"city\":\"Turin\"}"},
          {"type":"function_call","call_id":"call_2","name":"weather","arguments":"{\"city\":\"London\"}"},
          {"type":"function_call_output","call_id":"call_2","output":"rain"},
          {"type":"message","role":"assistant","content":"It rains."}]}
        """;

    private static string SessionOf(string conversationId) => conversationId["conv_".Length..];

    private static async Task<string> NewAsync(HttpClient client) => (await client.PostJsonAsync(Conversations, "{}")).Body.GetProperty("id").GetString()!;

    private static async Task<(HttpStatusCode, string?)> StatusAsync(HttpClient client, string path)
    {
        var answer = await client.GetJsonAsync(path);
        return (answer.Status, answer.ErrorCode);
    }

    /// <summary>The ids of a list, read page by page as the SDKs do: from <c>last_id</c>, as long as there is more.</summary>
    private static async Task<List<string>> PagedAsync(HttpClient client, string path, int limit)
    {
        var read = new List<string>();
        var after = "";
        while (true)
        {
            var page = await client.GetJsonAsync($"{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}limit={limit}{after}");
            Assert.Equal(HttpStatusCode.OK, page.Status);
            var data = page.Body.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString()!).ToList();
            Assert.Equal((data[0], data[^1]), (page.Body.GetProperty("first_id").GetString(), page.Body.GetProperty("last_id").GetString()));
            read.AddRange(data);
            if (!page.Body.GetProperty("has_more").GetBoolean())
            {
                return read;
            }

            Assert.Equal(limit, data.Count);
            after = $"&after={data[^1]}";
        }
    }
}
