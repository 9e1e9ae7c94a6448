using System.Net;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.StoredCompletions;

/// <summary>OpenAI's stored chat completions over HTTP. Each test has a user of its own, so that lists hold what it made.</summary>
public sealed class StoredCompletionsTests(KeyedSystem system) : IClassFixture<KeyedSystem>
{
    [Fact]
    public async Task Completions_AreListedInBothOrdersPageByPage()
    {
        using var client = await system.Running.ClientOfAsync("sc-list");
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            ids.Add((await AskAsync(client, NewPrompt())).Body.GetProperty("id").GetString()!);
        }

        foreach (var (order, expected) in new[] { ("asc", ids), ("desc", Enumerable.Reverse(ids).ToList()) })
        {
            var read = new List<string>();
            bool more;
            do
            {
                var page = (await client.GetJsonAsync($"{Completions}?limit=2&order={order}{(read.Count > 0 ? $"&after={read[^1]}" : "")}")).Body;
                var data = page.GetProperty("data").EnumerateArray().Select(completion => completion.GetProperty("id").GetString()!).ToList();
                Assert.Equal((data[0], data[^1], "list"), (page.GetProperty("first_id").GetString(), page.GetProperty("last_id").GetString(), page.GetProperty("object").GetString()));
                read.AddRange(data);
                more = page.GetProperty("has_more").GetBoolean();
            }
            while (more);

            Assert.Equal(expected, read);
        }

        var beyond = (await client.GetJsonAsync($"{Completions}?after={ids[4]}")).Body;
        Assert.Equal((0, false, ""), (beyond.GetProperty("data").GetArrayLength(), beyond.GetProperty("has_more").GetBoolean(), beyond.GetProperty("last_id").GetString()));
    }

    [Fact]
    public async Task Completions_AreFilteredByModelAndMetadata()
    {
        using var client = await system.Running.ClientOfAsync("sc-filter");
        var first = (await AskAsync(client, NewPrompt())).Body.GetProperty("id").GetString()!;
        var second = (await AskAsync(client, NewPrompt())).Body.GetProperty("id").GetString()!;
        await client.PostJsonAsync($"{Completions}/{first}", """{"metadata":{"topic":"engines","it's \"odd\"]":"a&b"}}""");
        await client.PostJsonAsync($"{Completions}/{second}", """{"metadata":{"topic":"looms","year":"1801"}}""");

        Assert.Equal([first, second], await IdsAsync(client, $"?model={Uri.EscapeDataString(RunningSystem.Model)}"));
        Assert.Empty(await IdsAsync(client, "?model=other"));
        Assert.Equal([first], await IdsAsync(client, "?metadata[topic]=engines"));
        Assert.Equal([first], await IdsAsync(client, $"?metadata[{Uri.EscapeDataString("it's \"odd\"]")}]={Uri.EscapeDataString("a&b")}"));
        Assert.Equal([second], await IdsAsync(client, "?metadata%5Btopic%5D=looms&metadata%5Byear%5D=1801"));
        Assert.Empty(await IdsAsync(client, "?metadata[topic]=engines&metadata[year]=1801"));
    }

    [Fact]
    public async Task Completion_IsReadAsItWasAnswered()
    {
        using var client = await system.Running.ClientOfAsync("sc-read");
        var answer = await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false, more: "\"n\":3,\"temperature\":1"));

        var stored = await client.GetJsonAsync($"{Completions}/{answer.Body.GetProperty("id").GetString()}");

        Assert.Equal(HttpStatusCode.OK, stored.Status);
        Assert.Equal("chat.completion", stored.Body.GetProperty("object").GetString());
        foreach (var (said, kept) in answer.Body.GetProperty("choices").EnumerateArray().Zip(stored.Body.GetProperty("choices").EnumerateArray()))
        {
            Assert.Equal(Choice(said), Choice(kept));
        }

        Assert.Equal(3, stored.Body.GetProperty("choices").GetArrayLength());
        foreach (var count in new[] { "prompt_tokens", "completion_tokens", "total_tokens" })
        {
            Assert.Equal(answer.Body.GetProperty("usage").GetProperty(count).GetInt32(), stored.Body.GetProperty("usage").GetProperty(count).GetInt32());
        }

        Assert.Equal(answer.Body.GetProperty("model").GetString(), stored.Body.GetProperty("model").GetString());
        Assert.Equal(answer.SessionId, stored.Body.GetProperty("session_id").GetString());
        // As in the list.
        Assert.Equal(stored.Text, (await client.GetJsonAsync(Completions)).Body.GetProperty("data")[0].GetRawText());

        static (int, string?, string?) Choice(JsonElement choice) => (
            choice.GetProperty("index").GetInt32(), choice.GetProperty("finish_reason").GetString(), choice.GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Metadata_IsReplaced()
    {
        using var client = await system.Running.ClientOfAsync("sc-metadata");
        var id = (await AskAsync(client, NewPrompt())).Body.GetProperty("id").GetString();

        await client.PostJsonAsync($"{Completions}/{id}", """{"metadata":{"a":"1","b":"2"}}""");
        var replaced = await client.PostJsonAsync($"{Completions}/{id}", """{"metadata":{"b":"3"}}""");
        var read = await client.GetJsonAsync($"{Completions}/{id}");
        var emptied = await client.PostJsonAsync($"{Completions}/{id}", """{"metadata":null}""");

        Assert.Equal((HttpStatusCode.OK, """{"b":"3"}"""), (replaced.Status, replaced.Body.GetProperty("metadata").GetRawText()));
        Assert.Equal((replaced.Text, "{}"), (read.Text, emptied.Body.GetProperty("metadata").GetRawText()));
    }

    [Fact]
    public async Task DeletedCompletion_TakesItsChoicesAndLeavesTheQuestion()
    {
        using var client = await system.Running.ClientOfAsync("sc-delete");
        var prompt = NewPrompt();
        var answer = await client.PostJsonAsync(Completions, Body(prompt, stream: false, more: "\"n\":2"));
        var id = answer.Body.GetProperty("id").GetString();
        var next = await client.PostJsonAsync(Completions, Body("and then?", stream: false, more: $"\"session_id\":\"{answer.SessionId}\""));

        var deleted = await client.SendJsonAsync(HttpMethod.Delete, $"{Completions}/{id}");

        Assert.Equal((HttpStatusCode.OK, $$"""{"object":"chat.completion.deleted","id":"{{id}}","deleted":true}"""), (deleted.Status, deleted.Text));
        Assert.Equal("completion_not_found", (await client.GetJsonAsync($"{Completions}/{id}")).ErrorCode);
        Assert.Equal([next.Body.GetProperty("id").GetString()!], await IdsAsync(client, ""));
        var left = (await client.GetJsonAsync($"/v1/sessions/{answer.SessionId}/messages?branch=head")).Body;
        Assert.Equal([prompt, "and then?"], left.GetProperty("messages").EnumerateArray().SkipLast(1).Select(message => message.GetProperty("content").GetString()));
        Assert.Equal(3, left.GetProperty("session_info").GetProperty("message_count").GetInt32());
    }

    [Fact]
    public async Task Messages_AreThePromptAsItWasStored()
    {
        using var client = await system.Running.ClientOfAsync("sc-messages");
        var image = """{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}}""";
        var first = await client.PostJsonAsync(Completions, """{"messages":[{"role":"system","content":"Be brief"},{"role":"user","content":"Hello","name":"ada"}]}""");
        var second = await client.PostJsonAsync(
            Completions, $$"""{"session_id":"{{first.SessionId}}","messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},{{image}}]}]}""");
        var id = second.Body.GetProperty("id").GetString();

        var list = (await client.GetJsonAsync($"{Completions}/{id}/messages")).Body;
        var data = list.GetProperty("data");

        Assert.Equal([$"{id}-0", $"{id}-1", $"{id}-2", $"{id}-3"], data.EnumerateArray().Select(message => message.GetProperty("id").GetString()));
        Assert.Equal(["system", "user", "assistant", "user"], data.EnumerateArray().Select(message => message.GetProperty("role").GetString()));
        Assert.Equal(("Hello", "ada", JsonValueKind.Null), (data[1].GetProperty("content").GetString(), data[1].GetProperty("name").GetString(), data[1].GetProperty("content_parts").ValueKind));
        Assert.Equal((JsonValueKind.Null, "What is it?"), (data[3].GetProperty("content").ValueKind, data[3].GetProperty("content_parts")[0].GetProperty("text").GetString()));
        Assert.All(data.EnumerateArray(), message => Assert.Equal(JsonValueKind.Null, message.GetProperty("refusal").ValueKind));
        foreach (var order in new[] { "asc", "desc" })
        {
            for (var limit = 1; limit <= 4; limit++)
            {
                Assert.Equal(order == "asc" ? "0123" : "3210", await PagedAsync(client, id!, order, limit));
            }
        }
    }

    [Fact]
    public async Task Mistakes_AreNamed()
    {
        using var client = await system.Running.ClientOfAsync("sc-mistakes");
        using var owner = await system.Running.ClientOfAsync("sc-owner");
        var theirs = (await AskAsync(owner, NewPrompt())).Body.GetProperty("id").GetString()!;
        var mine = (await AskAsync(client, NewPrompt())).Body.GetProperty("id").GetString()!;

        foreach (var id in new[] { theirs, "chatcmpl-none" })
        {
            await AssertRefusedAsync(HttpMethod.Get, id, null, HttpStatusCode.NotFound, "completion_not_found", "completion_id");
            await AssertRefusedAsync(HttpMethod.Post, id, """{"metadata":{}}""", HttpStatusCode.NotFound, "completion_not_found", "completion_id");
            await AssertRefusedAsync(HttpMethod.Delete, id, null, HttpStatusCode.NotFound, "completion_not_found", "completion_id");
            await AssertRefusedAsync(HttpMethod.Get, $"{id}/messages", null, HttpStatusCode.NotFound, "completion_not_found", "completion_id");
            await AssertRefusedAsync(HttpMethod.Get, $"?after={id}", null, HttpStatusCode.BadRequest, "invalid_request", "after");
        }

        await AssertRefusedAsync(HttpMethod.Get, "?limit=0", null, HttpStatusCode.BadRequest, "invalid_request", "limit");
        await AssertRefusedAsync(HttpMethod.Get, "?limit=101", null, HttpStatusCode.BadRequest, "invalid_request", "limit");
        await AssertRefusedAsync(HttpMethod.Get, "?order=up", null, HttpStatusCode.BadRequest, "invalid_request", "order");
        await AssertRefusedAsync(HttpMethod.Get, $"{mine}/messages?after={mine}-x", null, HttpStatusCode.BadRequest, "invalid_request", "after");
        await AssertRefusedAsync(HttpMethod.Get, $"{mine}/messages?after={theirs}-0", null, HttpStatusCode.BadRequest, "invalid_request", "after");
        await AssertRefusedAsync(HttpMethod.Post, mine, "{}", HttpStatusCode.BadRequest, "missing_required_parameter", "metadata");
        foreach (var metadata in new[]
        {
            "[]", "\"x\"", """{"a":1}""", $$"""{"{{new string('k', 65)}}":"x"}""", $$"""{"a":"{{new string('v', 513)}}"}""", """{"a":"\ud800"}""",
            $$"""{{{string.Join(',', Enumerable.Range(0, 17).Select(i => $"\"k{i}\":\"x\""))}}}""",
        })
        {
            var answer = await client.PostJsonAsync($"{Completions}/{mine}", $$"""{"metadata":{{metadata}}}""");
            Assert.True(answer.Status == HttpStatusCode.BadRequest, $"{metadata} gives {answer.Status}");
            ErrorTests.AssertEnvelope(answer);
        }

        Assert.Equal([mine], await IdsAsync(client, ""));
        Assert.Equal([theirs], await IdsAsync(owner, ""));

        async Task AssertRefusedAsync(HttpMethod method, string path, string? body, HttpStatusCode status, string code, string param)
        {
            var answer = await client.SendJsonAsync(method, path.StartsWith('?') ? Completions + path : $"{Completions}/{path}", body);
            Assert.Equal((status, code, param), (answer.Status, answer.ErrorCode, answer.Body.GetProperty("error").GetProperty("param").GetString()));
        }
    }

    [Fact]
    public async Task Reads_BesideTheDeletion_GiveTheCompletionOrNone()
    {
        using var client = await system.Running.ClientOfAsync("sc-race");
        for (var i = 0; i < 30; i++)
        {
            var path = $"{Completions}/{(await AskAsync(client, NewPrompt())).Body.GetProperty("id").GetString()}";
            var reads = Enumerable.Range(0, 6).Select(_ => client.GetJsonAsync(path)).ToList();
            using var deleted = await client.DeleteAsync(path);
            Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
            Assert.All(await Task.WhenAll(reads), read => Assert.Contains(read.Status, new[] { HttpStatusCode.OK, HttpStatusCode.NotFound }));
        }
    }

    private static Task<Answer> AskAsync(HttpClient client, string prompt) => client.PostJsonAsync(Completions, Body(prompt, stream: false));

    private static async Task<IEnumerable<string>> IdsAsync(HttpClient client, string query) =>
        (await client.GetJsonAsync(Completions + query)).Body.GetProperty("data").EnumerateArray().Select(completion => completion.GetProperty("id").GetString()!);

    /// <summary>The indexes of the messages, read page by page.</summary>
    private static async Task<string> PagedAsync(HttpClient client, string id, string order, int limit)
    {
        var read = "";
        var after = "";
        while (true)
        {
            var page = (await client.GetJsonAsync($"{Completions}/{id}/messages?order={order}&limit={limit}{after}")).Body;
            read += string.Concat(page.GetProperty("data").EnumerateArray().Select(message => message.GetProperty("id").GetString()![^1]));
            if (!page.GetProperty("has_more").GetBoolean())
            {
                return read;
            }

            after = $"&after={page.GetProperty("last_id").GetString()}";
        }
    }
}
