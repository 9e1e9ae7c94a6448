using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Tests.Processes;
using Microsoft.AspNetCore.Http;

namespace ChatHistory.Tests.Gateway;

/// <summary>Turns against a model server that answers exactly what stands here.</summary>
public sealed class ChatCompletionTests : IClassFixture<ScriptedSystem>
{
    private const string Whole =
        """{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","tool_calls":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"total_tokens":5,"completion_tokens":1}, "kv_transfer_params":null}""";

    private const string Usage = """data: {"id":"chatcmpl-2","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}""" + "\n\n";
    private const string Done = "data: [DONE]\n\n";

    private static readonly string[] s_stream =
    [
        """data: {"id":"chatcmpl-2","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}""" + "\n\n",
        """data: {"id":"chatcmpl-2","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"你好"},"finish_reason":null}], "odd":  1e400}""" + "\n\n",
        ": a comment\n\n",
        """data: {"id":"chatcmpl-2","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"!"},"finish_reason":"stop"}]}""" + "\n\n",
    ];

    private readonly ScriptedModelServer _model;

    public ChatCompletionTests(ScriptedSystem system)
    {
        _model = system.Model;
        _model.Requests.Clear();
        Client = system.Client;
    }

    private HttpClient Client { get; }

    [Fact]
    public async Task Whole_IsRelayedWithTheSessionIdAndStored()
    {
        _model.NextBody(Whole);

        var answer = await Client.PostJsonAsync("/v1/chat/completions", """{"model":"m","messages":[{"role":"user","content":"Hello"}],"user":"ada"}""");

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal(Whole[..^1] + $$""","session_id":"{{answer.SessionId}}"}""", answer.Text);
        var messages = await Client.MessagesOfAsync(answer.SessionId);
        Assert.Equal([("user", "Hello", "completed"), ("assistant", "Hi", "completed")], messages.Select(RoleContentStatus));
        Assert.Equal((answer.Headers["X-User-Message-Id"], answer.Headers["X-Message-Id"]), (Text(messages[0], "message_id"), Text(messages[1], "message_id")));
        Assert.Equal(
            ("stop", "m", 1, 4, "chatcmpl-1", answer.Headers["x-request-id"]),
            (Text(messages[1], "finish_reason"), Text(messages[1], "model"), messages[1].GetProperty("tokens").GetInt32(), messages[1].GetProperty("prompt_tokens").GetInt32(), Text(messages[1], "completion_id"), Text(messages[1], "request_id")));
        Assert.Equal("ada", (await Client.GetJsonAsync($"/v1/sessions/{answer.SessionId}")).Body.GetProperty("user_id").GetString());
    }

    [Fact]
    public async Task Body_ReachesTheModelByteForByte_WhenNothingHasToChange()
    {
        const string Body = """{ "model":"m", "messages":[{"role":"user","content":"a\u0062\/"}], "temperature":1.00, "seed":12345678901234567890, "tools":[ ], "vllm_xargs":{"deep":[{"er":null}]}, "logit_bias":{"1":-1e2} }""";
        _model.NextBody(Whole);

        await Client.PostJsonAsync("/v1/chat/completions", Body);

        Assert.Equal(Body, Assert.Single(_model.Requests));
    }

    [Fact]
    public async Task LargestBodyThatIsTaken_IsKept_AndHoldsUpNobody()
    {
        // The text of an array's parts travels to storage twice: as text, and as the array.
        var text = new string('x', (32 * 1024 * 1024) - 200);
        _model.NextBody(Whole);
        _model.NextBody(Whole);

        var large = Client.PostJsonAsync("/v1/chat/completions", $$"""{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"{{text}}"}]}]}""");
        var small = Client.PostJsonAsync("/v1/chat/completions", """{"model":"m","messages":[{"role":"user","content":"Hello"}]}""");

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), ((await large).Status, (await small).Status));
        var stored = (await Client.MessagesOfAsync((await large).SessionId))[0];
        Assert.Equal(text.Length, stored.GetProperty("content_parts")[0].GetProperty("text").GetString()!.Length);
    }

    [Fact]
    public async Task Stream_IsRelayedUnchanged_AndUsageIsStoredThoughNobodyAskedForIt()
    {
        _model.NextStream([.. s_stream, Usage, Done]);

        var answer = await Client.PostJsonAsync("/v1/chat/completions", """{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}""");

        Assert.Equal(string.Concat(s_stream) + Done, answer.Text);
        Assert.Equal("""{"include_usage":true}""", JsonNode.Parse(Assert.Single(_model.Requests))!["stream_options"]!.ToJsonString());
        var stored = (await Client.MessagesOfAsync(answer.SessionId))[1];
        Assert.Equal(("assistant", "你好!", "completed"), RoleContentStatus(stored));
        Assert.Equal((2, 4), (stored.GetProperty("tokens").GetInt32(), stored.GetProperty("prompt_tokens").GetInt32()));
    }

    [Fact]
    public async Task Stream_HasTheUsageChunk_WhenTheClientAskedForIt()
    {
        _model.NextStream([.. s_stream, Usage, Done]);

        var answer = await Client.PostJsonAsync("/v1/chat/completions", """{"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hello"}]}""");

        Assert.Equal(string.Concat(s_stream) + Usage + Done, answer.Text);
    }

    [Fact]
    public async Task Model_IsCalledOnlyAfterTheTurnIsStored()
    {
        var seen = "";
        _model.Next(async (context, _) =>
        {
            // From inside the model server's call: what does the history hold at this moment?
            var sessions = (await Client.GetJsonAsync("/v1/sessions?user_id=writeahead")).Body;
            var sessionId = sessions.GetProperty("sessions")[0].GetProperty("session_id").GetString()!;
            seen = string.Join(", ", (await Client.MessagesOfAsync(sessionId)).Select(RoleContentStatus));
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(Whole);
        });

        await Client.PostJsonAsync("/v1/chat/completions", """{"user":"writeahead","messages":[{"role":"user","content":"Hello"}]}""");

        Assert.Equal("(user, Hello, completed), (assistant, , in_progress)", seen);
    }

    [Fact]
    public async Task Frames_ArePassedOnOneByOne_AndTheEndOnlyAfterTheCommit()
    {
        var next = new SemaphoreSlim(0);
        _model.Next(async (context, _) =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.Body.FlushAsync();
            foreach (var piece in s_stream.Append(Done))
            {
                await next.WaitAsync();
                await context.Response.WriteAsync(piece);
                await context.Response.Body.FlushAsync();
            }
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = RunningSystem.Json("""{"stream":true,"messages":[{"role":"user","content":"Hello"}]}"""),
        };

        // Headers arrive before the first frame exists.
        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var sessionId = response.Headers.GetValues("X-Session-Id").Single();
        await using var stream = await response.Content.ReadAsStreamAsync();
        foreach (var frame in s_stream[..3])
        {
            next.Release();
            Assert.Equal(frame, await ReadAsync(stream, frame));
        }

        Assert.Equal("in_progress", Text((await Client.MessagesOfAsync(sessionId))[1], "status"));
        next.Release(2);
        Assert.Equal(s_stream[3], await ReadAsync(stream, s_stream[3]));

        // The very moment at which the client sees the finish_reason, the answer is there.
        Assert.Equal(("assistant", "你好!", "completed"), RoleContentStatus((await Client.MessagesOfAsync(sessionId))[1]));
        Assert.Equal(Done, await ReadAsync(stream, Done));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task SessionId_ContinuesWithTheStoredHistory(bool inHeader)
    {
        _model.NextBody(Whole);
        var first = await Client.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"system","content":"Be brief"},{"role":"user","content":"Hello"}]}""");
        _model.Requests.Clear();
        _model.NextBody(Whole);

        var second = inHeader
            ? await Client.SendJsonAsync(HttpMethod.Post, "/v1/chat/completions", """{"messages":[{"role":"user","content":"Again"}]}""", ("X-Session-Id", first.SessionId))
            : await Client.PostJsonAsync("/v1/chat/completions", $$"""{"session_id":"{{first.SessionId}}","messages":[{"role":"user","content":"Again"}]}""");

        Assert.Equal(first.SessionId, second.SessionId);
        Assert.Equal(
            """[{"role":"system","content":"Be brief"},{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi"},{"role":"user","content":"Again"}]""",
            JsonNode.Parse(Assert.Single(_model.Requests))!["messages"]!.ToJsonString());
        Assert.DoesNotContain("session_id", Assert.Single(_model.Requests));
        Assert.Equal(["Be brief", "Hello", "Hi", "Again", "Hi"], (await Client.MessagesOfAsync(first.SessionId)).Select(message => Text(message, "content")));
    }

    [Fact]
    public async Task SessionId_WithTheWholeTranscript_DoesNotStoreItAgain()
    {
        _model.NextBody(Whole);
        var first = await Client.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hello"}]}""");
        _model.Requests.Clear();
        _model.NextBody(Whole);

        await Client.PostJsonAsync(
            "/v1/chat/completions",
            $$"""{"session_id":"{{first.SessionId}}","messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]},{"role":"assistant","content":"Hi"},{"role":"user","content":"Again"}]}""");

        Assert.Equal(3, JsonNode.Parse(Assert.Single(_model.Requests))!["messages"]!.AsArray().Count);
        Assert.Equal(["Hello", "Hi", "Again", "Hi"], (await Client.MessagesOfAsync(first.SessionId)).Select(message => Text(message, "content")));
    }

    [Fact]
    public async Task SystemMessage_OfTheRequest_TakesThePlaceOfTheStoredOne()
    {
        _model.NextBody(Whole);
        var first = await Client.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"system","content":"Be brief"},{"role":"user","content":"Hello"}]}""");
        _model.Requests.Clear();
        _model.NextBody(Whole);

        await Client.PostJsonAsync("/v1/chat/completions", $$"""{"session_id":"{{first.SessionId}}","messages":[{"role":"system","content":"Be long"},{"role":"user","content":"Again"}]}""");

        Assert.Equal(
            """[{"role":"system","content":"Be long"},{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi"},{"role":"user","content":"Again"}]""",
            JsonNode.Parse(Assert.Single(_model.Requests))!["messages"]!.ToJsonString());
    }

    [Fact]
    public async Task ToolsReasoningAndImages_AreStoredAndReplayedAsTheyCame()
    {
        const string Call = """{"role":"assistant","content":null,"reasoning_content":"look it up","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"北京\"}"}}]}""";
        const string Image = """{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}],"name":"ada","cache_control":{"type":"ephemeral"}}""";
        _model.NextBody($$"""{"id":"c","model":"m","choices":[{"index":0,"message":{{Call}},"finish_reason":"tool_calls"}]}""");
        var first = await Client.PostJsonAsync("/v1/chat/completions", $$$"""{"messages":[{{{Image}}}],"tools":[{"type":"function","function":{"name":"weather"}}]}""");
        Assert.Equal(HttpStatusCode.OK, first.Status);
        _model.Requests.Clear();
        _model.NextBody(Whole);

        await Client.PostJsonAsync("/v1/chat/completions", $$"""{"session_id":"{{first.SessionId}}","messages":[{"role":"tool","tool_call_id":"call_1","content":"sunny"}]}""");

        var replayed = JsonNode.Parse(Assert.Single(_model.Requests))!["messages"]!.AsArray();
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Image), replayed[0]));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Call), replayed[1]));
        var stored = await Client.MessagesOfAsync(first.SessionId);
        Assert.Equal(("What is this?", "look it up", "call_1"), (Text(stored[0], "content"), Text(stored[1], "reasoning"), Text(stored[2], "tool_call_id")));
        Assert.Equal("weather", stored[1].GetProperty("tool_calls")[0].GetProperty("function").GetProperty("name").GetString());
        Assert.Equal("data:image/png;base64,AAAA", stored[0].GetProperty("content_parts")[1].GetProperty("image_url").GetProperty("url").GetString());
    }

    [Fact]
    public async Task Choices_BeyondTheFirst_AreKeptAsSiblings()
    {
        _model.NextBody("""{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"B"},"finish_reason":"length"}]}""");

        var answer = await Client.PostJsonAsync("/v1/chat/completions", """{"n":2,"messages":[{"role":"user","content":"Hello"}]}""");

        var stored = await Client.MessagesOfAsync(answer.SessionId);
        Assert.Equal([("user", "Hello", "completed"), ("assistant", "A", "completed"), ("assistant", "B", "incomplete")], stored.Select(RoleContentStatus));
        Assert.Equal(Text(stored[1], "parent_id"), Text(stored[2], "parent_id"));
    }

    [Fact]
    public async Task StoreFalse_WritesNothing()
    {
        _model.NextBody(Whole);

        var answer = await Client.PostJsonAsync("/v1/chat/completions", """{"store":false,"user":"private","messages":[{"role":"user","content":"Hello"}]}""");

        Assert.Equal((HttpStatusCode.OK, Whole, false), (answer.Status, answer.Text, answer.Headers.ContainsKey("X-Session-Id")));
        Assert.Equal(0, (await Client.GetJsonAsync("/v1/sessions?user_id=private")).Body.GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task Models_ComeFromTheModelServer()
    {
        const string List = """{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"vllm"}]}""";
        _model.NextBody(List);

        Assert.Equal(List, (await Client.GetJsonAsync("/v1/models")).Text);
    }

    internal static (string?, string?, string?) RoleContentStatus(JsonElement message) => (Text(message, "role"), Text(message, "content"), Text(message, "status"));

    internal static string? Text(JsonElement message, string name) => message.GetProperty(name).GetString();

    private static async Task<string> ReadAsync(Stream stream, string expected)
    {
        var buffer = new byte[Encoding.UTF8.GetByteCount(expected)];
        await stream.ReadExactlyAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
        return Encoding.UTF8.GetString(buffer);
    }
}
