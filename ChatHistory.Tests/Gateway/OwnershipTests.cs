using System.Net;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>What belongs to somebody else does not exist: the same answer as for an id that nobody has, on every way in.</summary>
public sealed class OwnershipTests(KeyedSystem system) : IClassFixture<KeyedSystem>
{
    // A body that every route accepts, so that nothing but the session decides.
    private const string AnyBody = """{"role":"user","content":"intruding","title":"intruding","metadata":{"intruding":1},"messages":[{"role":"user","content":"intruding"}]}""";

    [Fact]
    public async Task Owner_IsTheKeys_WhateverTheRequestSays()
    {
        using var ada = await system.Running.ClientOfAsync("ada");

        var session = await ada.PostJsonAsync("/v1/sessions", """{"user_id":"bob"}""");
        var turn = await ada.PostJsonAsync($"{Completions}?user_id=bob", Body(NewPrompt(), stream: false, more: "\"user_id\":\"bob\",\"user\":\"bob\""));
        var list = await ada.GetJsonAsync("/v1/sessions?user_id=bob");

        Assert.Equal("ada", session.Body.GetProperty("user_id").GetString());
        Assert.Equal("ada", (await ada.GetJsonAsync($"/v1/sessions/{turn.SessionId}")).Body.GetProperty("user_id").GetString());
        Assert.Equal(["ada"], list.Body.GetProperty("sessions").EnumerateArray().Select(listed => listed.GetProperty("user_id").GetString()).Distinct());
    }

    [Fact]
    public async Task SomebodyElsesSession_DoesNotExist()
    {
        using var owner = await system.Running.ClientOfAsync("kim");
        using var intruder = await system.Running.ClientOfAsync("lea");
        var theirs = (await owner.PostJsonAsync(Completions, Body(NewPrompt(), stream: false))).SessionId;
        var before = await WholeAsync(owner, theirs);
        var nobodys = Guid.NewGuid().ToString();
        foreach (var (name, ask) in await WaysToNameASessionAsync(intruder))
        {
            var (refused, unknown) = (await ask(theirs), await ask(nobodys));

            Assert.True(refused.Status == HttpStatusCode.NotFound, $"{name} gives {refused.Status}: {refused.Text}");
            Assert.Equal(unknown.Text.Replace(nobodys, theirs, StringComparison.Ordinal), refused.Text);
            Assert.Equal(unknown.Headers.Keys.Order(), refused.Headers.Keys.Order());
        }

        Assert.Equal(before, await WholeAsync(owner, theirs));
        Assert.Equal(0, (await intruder.GetJsonAsync("/v1/sessions")).Body.GetProperty("total").GetInt32());
        Assert.Empty(await system.Simulator.RequestsWithAsync("intruding"));
    }

    [Fact]
    public async Task SomebodyElsesHistory_DoesNotExist()
    {
        using var owner = await system.Running.ClientOfAsync("mia");
        using var intruder = await system.Running.ClientOfAsync("nils");
        await owner.PostJsonAsync(Completions, Body(NewPrompt(), stream: false));

        var theirs = await intruder.GetJsonAsync("/v1/users/mia/history");
        var nobodys = await intruder.GetJsonAsync("/v1/users/nobody/history");

        Assert.Equal((HttpStatusCode.NotFound, "user_not_found"), (theirs.Status, theirs.ErrorCode));
        Assert.Equal(nobodys.Text.Replace("nobody", "mia", StringComparison.Ordinal), theirs.Text);
        Assert.Equal(HttpStatusCode.OK, (await owner.GetJsonAsync("/v1/users/mia/history")).Status);
    }

    [Fact]
    public async Task SomebodyElsesCursor_OpensNothing()
    {
        using var owner = await system.Running.ClientOfAsync("otto");
        using var intruder = await system.Running.ClientOfAsync("pia");
        foreach (var client in new[] { owner, owner, owner, intruder })
        {
            await client.PostJsonAsync("/v1/sessions", "{}");
        }

        var cursor = (await owner.GetJsonAsync("/v1/sessions?limit=1")).Body.GetProperty("next").GetString()!;
        var list = await intruder.GetJsonAsync($"/v1/sessions?after={Uri.EscapeDataString(cursor)}");
        var history = await intruder.GetJsonAsync($"/v1/users/pia/history?after={Uri.EscapeDataString(cursor)}");

        Assert.DoesNotContain("otto", list.Text + history.Text, StringComparison.Ordinal);
    }

    /// <summary>Every way to name a session: all routes with one in their path, and body and header of a completion.</summary>
    private static async Task<List<(string Name, Func<string, Task<Answer>> Ask)>> WaysToNameASessionAsync(HttpClient client)
    {
        var ways = new List<(string Name, Func<string, Task<Answer>> Ask)>();
        foreach (var route in (await OpenApiRoute.ReadAllAsync(client)).Where(route => route.Template.Contains("{session_id}", StringComparison.Ordinal)))
        {
            ways.Add((route.ToString(), id => client.SendJsonAsync(route.Method, route.With("session_id", id), AnyBody)));
        }

        Assert.True(ways.Count >= 5, "the OpenAPI document has lost its session routes");
        foreach (var (stream, store) in new[] { (true, true), (true, false), (false, true), (false, false) })
        {
            string Asking(string more) => Body("intruding", stream, more: $"\"store\":{(store ? "true" : "false")}{more}");
            ways.Add(($"body, stream {stream}, store {store}", id => client.PostJsonAsync(Completions, Asking($",\"session_id\":\"{id}\""))));
            ways.Add(($"header, stream {stream}, store {store}", id => client.SendJsonAsync(HttpMethod.Post, Completions, Asking(""), ("X-Session-Id", id))));
        }

        return ways;
    }

    private static async Task<string> WholeAsync(HttpClient owner, string sessionId) =>
        (await owner.GetJsonAsync($"/v1/sessions/{sessionId}")).Text + (await owner.GetJsonAsync($"/v1/sessions/{sessionId}/messages")).Text;
}
