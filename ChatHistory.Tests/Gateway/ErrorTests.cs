using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>Every refusal has OpenAI's envelope, whatever layer it comes from, and names what is wrong.</summary>
public sealed class ErrorTests(SmallBodiesSystem system) : IClassFixture<SmallBodiesSystem>
{
    private const string Messages = "/v1/sessions/session_001/messages";

    private HttpClient Client => system.Client;

    public static TheoryData<string, string> PlacesForABody => new()
    {
        { "POST", Completions }, { "POST", "/v1/sessions" }, { "PATCH", "/v1/sessions/session_001" }, { "POST", Messages },
    };

    [Theory]
    [MemberData(nameof(PlacesForABody))]
    public async Task BodyThatIsNoJsonObject_IsRefused(string method, string path)
    {
        byte[][] bodies =
        [
            [], " "u8.ToArray(), "{"u8.ToArray(), "{\"a\":1,}"u8.ToArray(), "{}{}"u8.ToArray(), "[]"u8.ToArray(), "null"u8.ToArray(), "7"u8.ToArray(), "\"x\""u8.ToArray(),
            [.. "{\"user_id\":\"a\",\"title\":\""u8, 0xFF, .. "\"}"u8],
            [0x00],
            Encoding.UTF8.GetBytes("{\"messages\":" + new string('[', 10_000) + new string(']', 10_000) + "}"),
        ];
        foreach (var body in bodies)
        {
            var answer = await SendAsync(method, path, new ByteArrayContent(body), "application/json");

            Assert.True(answer.Status == HttpStatusCode.BadRequest, $"'{Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, 100)))}' gives {answer.Status}: {answer.Text}");
            AssertEnvelope(answer);
        }
    }

    [Theory]
    [MemberData(nameof(PlacesForABody))]
    public async Task LoneSurrogate_IsRefused(string method, string path)
    {
        foreach (var half in new[] { "\\ud800", "\\uDFFF x", "\\ude00\\ud83d" })
        {
            var answer = await SendAsync(method, path, RunningSystem.Json(
                $$"""{"user_id":"{{half}}","title":"{{half}}","role":"user","content":"{{half}}","messages":[{"role":"user","content":"{{half}}"}]}"""));

            Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
            AssertEnvelope(answer);
        }
    }

    [Fact]
    public async Task SurrogatePair_IsACharacter()
    {
        var answer = await Client.PostJsonAsync(Messages, """{"role":"user","content":"\ud83d\uDE00"}""");

        Assert.Equal((HttpStatusCode.Created, "\U0001F600"), (answer.Status, answer.Body.GetProperty("content").GetString()));
    }

    [Theory]
    [MemberData(nameof(PlacesForABody))]
    public async Task BodyThatIsTooLarge_IsRefused(string method, string path)
    {
        var body = $$"""{"user_id":"ada","role":"user","content":"{{new string('x', SmallBodiesSystem.MaxBytes)}}"}""";
        foreach (var content in new HttpContent[] { RunningSystem.Json(body), new UnknownLength(body) })
        {
            var answer = await SendAsync(method, path, content, "application/json");

            Assert.Equal((413, "request_too_large"), ((int)answer.Status, answer.ErrorCode));
            AssertEnvelope(answer);
        }
    }

    [Theory]
    [MemberData(nameof(PlacesForABody))]
    public async Task BodyOfAnotherType_IsRefused(string method, string path)
    {
        foreach (var type in new[] { "text/plain", "application/x-www-form-urlencoded", "multipart/form-data" })
        {
            var answer = await SendAsync(method, path, new StringContent("""{"user_id":"ada","role":"user","content":"Hello","messages":[{"role":"user","content":"Hello"}]}"""), type);

            Assert.Equal((415, "unsupported_media_type"), ((int)answer.Status, answer.ErrorCode));
            AssertEnvelope(answer);
        }
    }

    [Theory]
    [InlineData("GET", "/v1/nothing", 404, "unknown_url")]
    [InlineData("POST", "/v1/nothing", 404, "unknown_url")]
    [InlineData("GET", "/v1", 404, "unknown_url")]
    [InlineData("DELETE", "/nothing", 404, "unknown_url")]
    [InlineData("PUT", Completions, 405, "method_not_allowed", "GET, POST")]
    [InlineData("PUT", "/v1/sessions", 405, "method_not_allowed", "GET, POST")]
    [InlineData("POST", "/v1/sessions/session_001", 405, "method_not_allowed", "DELETE, GET, PATCH")]
    [InlineData("DELETE", "/v1/models", 405, "method_not_allowed", "GET")]
    [InlineData("TRACE", "/v1/users/ada/history", 405, "method_not_allowed", "GET")]
    public async Task UnknownRouteOrMethod_IsNamed(string method, string path, int status, string code, string? allow = null)
    {
        var answer = await SendAsync(method, path, content: null);

        Assert.Equal((status, code), ((int)answer.Status, answer.ErrorCode));
        Assert.Contains(path, answer.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(allow, answer.Headers.TryGetValue("Allow", out var allowed) ? string.Join(", ", allowed.Split(',', StringSplitOptions.TrimEntries).Order()) : null);
        AssertEnvelope(answer);
    }

    [Theory]
    [InlineData("GET", "/v1/sessions/none", null)]
    [InlineData("PATCH", "/v1/sessions/none", "{}")]
    [InlineData("DELETE", "/v1/sessions/none", null)]
    [InlineData("GET", "/v1/sessions/none/messages", null)]
    [InlineData("POST", "/v1/sessions/none/messages", """{"role":"user","content":"Hello"}""")]
    [InlineData("POST", Completions, """{"session_id":"none","messages":[{"role":"user","content":"Hello"}]}""")]
    public async Task UnknownSession_IsNamed(string method, string path, string? body)
    {
        var answer = await SendAsync(method, path, body is null ? null : RunningSystem.Json(body));

        Assert.Equal((404, "session_not_found", "session_id"), ((int)answer.Status, answer.ErrorCode, Param(answer)));
        Assert.Contains("'none'", answer.ErrorMessage, StringComparison.Ordinal);
        AssertEnvelope(answer);
    }

    [Theory]
    [InlineData(Completions, "{}", "messages")]
    [InlineData(Completions, """{"messages":null}""", "messages")]
    [InlineData(Completions, """{"messages":"Hello"}""", "messages")]
    [InlineData(Completions, """{"messages":[]}""", "messages")]
    [InlineData(Completions, """{"messages":[1]}""", "messages[0]")]
    [InlineData(Completions, """{"messages":[{}]}""", "messages[0].role")]
    [InlineData(Completions, """{"messages":[{"role":"user","content":"a"},{"role":"alien"}]}""", "messages[1].role")]
    [InlineData(Completions, """{"messages":[{"role":7}]}""", "messages[0].role")]
    [InlineData(Completions, """{"messages":[{"role":"user","content":7}]}""", "messages[0].content")]
    [InlineData(Completions, """{"messages":[{"role":"user","content":["a",7]}]}""", "messages[0].content[1]")]
    [InlineData(Completions, """{"messages":[{"role":"assistant","tool_calls":{}}]}""", "messages[0].tool_calls")]
    [InlineData(Completions, """{"messages":[{"role":"tool","tool_call_id":1}]}""", "messages[0].tool_call_id")]
    [InlineData(Completions, """{"messages":[{"role":"user","name":1}]}""", "messages[0].name")]
    [InlineData(Completions, """{"model":7,"messages":[{"role":"user","content":"a"}]}""", "model")]
    [InlineData(Completions, """{"stream":"yes","messages":[{"role":"user","content":"a"}]}""", "stream")]
    [InlineData(Completions, """{"store":1,"messages":[{"role":"user","content":"a"}]}""", "store")]
    [InlineData(Completions, """{"user":7,"messages":[{"role":"user","content":"a"}]}""", "user")]
    [InlineData(Completions, """{"user_id":{},"messages":[{"role":"user","content":"a"}]}""", "user_id")]
    [InlineData(Completions, """{"session_id":7,"messages":[{"role":"user","content":"a"}]}""", "session_id")]
    [InlineData(Completions, """{"on_disconnect":"stay","messages":[{"role":"user","content":"a"}]}""", "on_disconnect")]
    [InlineData(Completions, """{"on_disconnect":1,"messages":[{"role":"user","content":"a"}]}""", "on_disconnect")]
    [InlineData(Completions, """{"n":0,"messages":[{"role":"user","content":"a"}]}""", "n")]
    [InlineData(Completions, """{"n":"2","messages":[{"role":"user","content":"a"}]}""", "n")]
    [InlineData(Completions, """{"n":1e99,"messages":[{"role":"user","content":"a"}]}""", "n")]
    [InlineData("/v1/sessions", "{}", "user_id")]
    [InlineData("/v1/sessions", """{"user_id":" "}""", "user_id")]
    [InlineData("/v1/sessions", """{"user_id":[]}""", "user_id")]
    [InlineData("/v1/sessions", """{"user_id":"ada","title":7}""", "title")]
    [InlineData("/v1/sessions", """{"user_id":"ada","metadata":"x"}""", "metadata")]
    [InlineData(Messages, """{"content":"a"}""", "role")]
    [InlineData(Messages, """{"role":"alien","content":"a"}""", "role")]
    [InlineData(Messages, """{"role":"user"}""", "content")]
    [InlineData(Messages, """{"role":"user","content":{}}""", "content")]
    [InlineData(Messages, """{"role":"user","content":"a","model":7}""", "model")]
    [InlineData(Messages, """{"role":"user","content":"a","tokens":-1}""", "tokens")]
    [InlineData(Messages, """{"role":"user","content":"a","tokens":"1"}""", "tokens")]
    [InlineData(Messages, """{"role":"user","content":"a","tokens":1.5}""", "tokens")]
    [InlineData("PATCH /v1/sessions/session_001", """{"title":7}""", "title")]
    [InlineData("PATCH /v1/sessions/session_001", """{"metadata":[]}""", "metadata")]
    [InlineData("PATCH /v1/sessions/session_001", """{"is_active":"no"}""", "is_active")]
    [InlineData("GET /v1/sessions?limit=0", null, "limit")]
    [InlineData("GET /v1/sessions?limit=1001", null, "limit")]
    [InlineData("GET /v1/sessions?limit=x", null, "limit")]
    [InlineData("GET /v1/sessions?offset=-1", null, "offset")]
    [InlineData("GET /v1/sessions?after=x", null, "after")]
    [InlineData("GET /v1/users/default_user/history?limit=1e3", null, "limit")]
    [InlineData("GET /v1/users/default_user/history?after=%00", null, "after")]
    [InlineData("GET /v1/sessions/session_001/messages?after=x", null, "after")]
    [InlineData("GET /v1/sessions/session_001/messages?order=up", null, "order")]
    [InlineData("GET /v1/sessions/session_001/messages?offset=99999999999", null, "offset")]
    public async Task WrongField_IsNamed(string route, string? body, string param)
    {
        var (method, path) = route.Split(' ') is [var named, var rest] ? (named, rest) : ("POST", route);

        var answer = await SendAsync(method, path, body is null ? null : RunningSystem.Json(body));

        Assert.Equal((400, "invalid_request_error"), ((int)answer.Status, answer.ErrorType));
        Assert.Equal(param, Param(answer));
        AssertEnvelope(answer);
    }

    [Fact]
    public async Task EveryAnswer_CarriesOpenAIsHeaders()
    {
        var answers = new[]
        {
            await Client.GetJsonAsync("/v1/models"),
            await Client.GetJsonAsync("/v1/nothing"),
            await Client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false)),
            await Client.PostJsonAsync(Completions, Body(NewPrompt(), stream: true)),
            await Client.PostJsonAsync(Completions, "{"),
            await Client.SendJsonAsync(HttpMethod.Put, "/v1/sessions"),
        };

        Assert.Equal(answers.Length, answers.Select(answer => answer.Headers["x-request-id"]).Distinct().Count());
        Assert.All(answers, AssertHeaders);
    }

    private static void AssertHeaders(Answer answer)
    {
        Assert.StartsWith("req_", answer.Headers["x-request-id"], StringComparison.Ordinal);
        Assert.Equal("2020-10-01", answer.Headers["openai-version"]);
        Assert.True(int.TryParse(answer.Headers["openai-processing-ms"], out _));
        Assert.False(answer.Headers.ContainsKey("Server"));
    }

    internal static void AssertEnvelope(Answer answer)
    {
        Assert.StartsWith("application/json", answer.Headers["Content-Type"], StringComparison.Ordinal);
        Assert.Equal(["error"], answer.Body.EnumerateObject().Select(member => member.Name));
        Assert.Equal(["message", "type", "param", "code"], answer.Body.GetProperty("error").EnumerateObject().Select(member => member.Name));
        Assert.All(answer.Body.GetProperty("error").EnumerateObject(), member => Assert.True(member.Value.ValueKind is JsonValueKind.String or JsonValueKind.Null));
        Assert.NotEmpty(answer.ErrorMessage!);
        Assert.DoesNotContain("   at ", answer.ErrorMessage, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", answer.ErrorMessage, StringComparison.Ordinal);
        AssertHeaders(answer);
    }

    private static string? Param(Answer answer) => answer.Body.GetProperty("error").GetProperty("param").GetString();

    private async Task<Answer> SendAsync(string method, string path, HttpContent? content, string? contentType = null)
    {
        if (content is not null && contentType is not null)
        {
            content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        }

        using var request = new HttpRequestMessage(HttpMethod.Parse(method), path) { Content = content };
        using var response = await Client.SendAsync(request);
        return await Answer.ReadAsync(response);
    }

    /// <summary>A body whose length is not announced: it travels in chunks.</summary>
    private sealed class UnknownLength(string text) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => stream.WriteAsync(Encoding.UTF8.GetBytes(text)).AsTask();

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
