using System.Net;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using Microsoft.AspNetCore.Http;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.Paths;

/// <summary>
/// A turn whose history the gateway still has is asked of the model in the very words of one whose history storage sends: each prompt is compared with what the other
/// gateway, which keeps nothing, says that it would be.
/// </summary>
public sealed class PathCacheTests(TwoGateways system) : IClassFixture<TwoGateways>
{
    private const string Said = """{"role":"assistant","content":"So it is. \u00fc \ud83d\ude00"}""";
    private const string Tools = """{"role":"assistant","content":null,"reasoning_content":"Let me see.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"look_up","arguments":"{\"what\":\"x\"}"}}]}""";

    [Fact]
    public async Task EveryKindOfMessage_IsTheSameFromMemory()
    {
        var session = await BeginAsync();
        await AskAsync(session, User("plain"), isKnown: true);
        await AskAsync(session, """{"role":"user","name":"Ann","content":[{"type":"text","text":"Look:  "},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}],"odd":[1.50,null]}""", isKnown: true);
        await AskAsync(session, User("a call"), isKnown: true, Tools);
        await AskAsync(session, """{"role":"tool","tool_call_id":"call_1","content":"42"}""", isKnown: true);
        await AskAsync(session, User("a call without a result"), isKnown: true, Tools.Replace("call_1", "call_2", StringComparison.Ordinal));
        await AskAsync(session, User("it is repaired"), isKnown: true, """{"role":"assistant","content":"No.","refusal":"I will not."}""");
        await AskAsync(session, $$"""{"role":"system","content":"Be brief."},{{User("with instructions")}}""", isKnown: true);
        await AskAsync(session, $$"""{"role":"system","content":"Be brief."},{{User("with the same ones")}}""", isKnown: true);
        await AskAsync(session, User("two choices"), isKnown: true, Said, """{"role":"assistant","content":"Or so."}""");
        await AskAsync(session, User("the end"), isKnown: true);
    }

    [Fact]
    public async Task TurnThatFailed_LeavesThePathAsItWas()
    {
        var session = await BeginAsync();
        system.Model.NextBody("""{"error":{"message":"no"}}""", status: 500);
        Assert.Equal(HttpStatusCode.InternalServerError, (await PostAsync(session, User("poison"))).Status);

        await AskAsync(session, User("and now"), isKnown: true);
    }

    [Fact]
    public async Task AnswerThatWasCutOff_IsReadFromStorage()
    {
        var session = await BeginAsync();
        system.Model.Next(async (context, _) =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.WriteAsync("""data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"Half"}}]}""" + "\n\n");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        });
        using (var request = new HttpRequestMessage(HttpMethod.Post, Completions) { Content = RunningSystem.Json(Body("leave", stream: true, more: $"\"session_id\":\"{session}\"")) })
        using (var response = await system.First.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
        using (var stream = await response.Content.ReadAsStreamAsync())
        {
            Assert.NotEqual(0, await stream.ReadAsync(new byte[16]));
        }

        await Eventually.GetAsync(() => system.Second.MessagesOfAsync(session), messages => messages[^1].GetProperty("status").GetString() == "cancelled");
        await AskAsync(session, User("and now"), isKnown: false);
        await AskAsync(session, User("once more"), isKnown: true);
    }

    [Fact]
    public async Task Regeneration_Fork_AndTranscript_AreReadFromStorage_AndThenKept()
    {
        var session = await BeginAsync();
        await AskAsync(session, User("two"), isKnown: true);
        var question = (await system.Second.MessagesOfAsync(session))[2].GetProperty("message_id").GetString();
        system.Model.NextBody(Completion("""{"role":"assistant","content":"Another."}"""));
        Assert.Equal(HttpStatusCode.OK, (await system.First.PostJsonAsync(Completions, $$"""{"session_id":"{{session}}","parent_message_id":"{{question}}"}""")).Status);
        await AskAsync(session, User("behind the other answer"), isKnown: true);

        var fork = (await system.Second.PostJsonAsync($"/v1/sessions/{session}/fork", $$"""{"message_id":"{{question}}"}""")).Body.GetProperty("session_id").GetString()!;
        await AskAsync(fork, User("a fork"), isKnown: false);
        await AskAsync(fork, User("goes on"), isKnown: true);
        await AskAsync(session, User("so does the first one"), isKnown: true);

        var other = await BeginAsync();
        system.Model.NextBody(Completion(Said));
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(other, $"{User("one")},{Said},{User("the whole transcript")}")).Status);
        await AskAsync(other, User("and on"), isKnown: false);
    }

    [Fact]
    public async Task DeletedMessage_IsNotSentAnyMore()
    {
        var session = await BeginAsync();
        await AskAsync(session, User("a secret"), isKnown: true);
        await AskAsync(session, User("three"), isKnown: true);
        var secret = (await system.Second.MessagesOfAsync(session))[2].GetProperty("message_id").GetString();
        Assert.Equal(HttpStatusCode.NoContent, (await system.Second.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{session}/messages/{secret}")).Status);

        var sent = await AskAsync(session, User("four"), isKnown: false);

        Assert.Equal(["one", "three", "four"], sent.EnumerateArray().Where(message => message.GetProperty("role").GetString() == "user").Select(message => message.GetProperty("content").GetString()));
    }

    [Fact]
    public async Task TurnOfAnotherGateway_IsSeen()
    {
        var session = await BeginAsync();
        system.Model.NextBody(Completion(Said));
        await system.Second.PostJsonAsync(Completions, $$"""{"session_id":"{{session}}","messages":[{{User("elsewhere")}}]}""");

        var sent = await AskAsync(session, User("here"), isKnown: false);

        Assert.Equal(5, sent.GetArrayLength());
        Assert.Equal("elsewhere", sent[2].GetProperty("content").GetString());
    }

    private async Task<string> BeginAsync()
    {
        system.Model.NextBody(Completion(Said));
        // In personal mode a user of its own, so that no other test's transcript is continued.
        return (await system.First.PostJsonAsync(Completions, $$"""{"user_id":"{{Guid.NewGuid():N}}","messages":[{{User("one")}}]}""")).SessionId;
    }

    /// <summary>One turn. Returns the messages that reached the model.</summary>
    private async Task<JsonElement> AskAsync(string session, string messages, bool isKnown, params string[] answers)
    {
        var preview = await system.Second.PostJsonAsync($"/v1/sessions/{session}/context/preview", $$"""{"messages":[{{messages}}]}""");
        Assert.True(preview.Status == HttpStatusCode.OK, preview.Text);
        system.Model.NextBody(Completion(answers is [] ? [Said] : answers));
        system.Model.Requests.Clear();
        system.Tap.Begun.Clear();

        var answer = await PostAsync(session, messages, answers.Length > 1 ? $"\"n\":{answers.Length}," : "");

        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
        var sent = JsonElement.Parse(Assert.Single(system.Model.Requests)).GetProperty("messages");
        var expected = preview.Body.GetProperty("messages");
        Assert.True(JsonElement.DeepEquals(expected, sent), $"expected {expected}\nsent     {sent}");
        var begun = Assert.Single(system.Tap.Begun);
        Assert.True(isKnown == begun.HistoryKnown, $"{messages}: {begun.History.Count} messages came from storage");
        Assert.Equal(isKnown, begun.History.Count == 0);
        return sent;
    }

    private Task<Answer> PostAsync(string session, string messages, string more = "") =>
        system.First.PostJsonAsync(Completions, $$"""{"session_id":"{{session}}",{{more}}"messages":[{{messages}}]}""");

    private static string User(string text) => $$"""{"role":"user","content":"{{text}}"}""";

    private static string Completion(params string[] messages)
    {
        var choices = messages.Select((message, index) => $$"""{"index":{{index}},"message":{{message}},"finish_reason":"stop"}""");
        return $$"""{"id":"chatcmpl-{{Guid.NewGuid():N}}","object":"chat.completion","model":"m","choices":[{{string.Join(',', choices)}}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8} }""";
    }
}
