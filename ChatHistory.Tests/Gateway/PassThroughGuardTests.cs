using System.Net;
using System.Text;
using ChatHistory.Gateway.PassThrough;
using ChatHistory.Tests.Processes;
using Microsoft.AspNetCore.Http;

namespace ChatHistory.Tests.Gateway;

/// <summary>What the pass-through lets through, in both directions: nothing but its routes, nothing of the caller's, and no failure that looks like success.</summary>
public sealed class PassThroughGuardTests(GuardedSystem system) : IClassFixture<GuardedSystem>
{
    private const string Embeddings = "/v1/embeddings";
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";

    private HttpClient Client => system.Client;

    public static TheoryData<string> Routes => [.. PassThroughRoute.All.Select(route => route.Path)];

    [Theory]
    [MemberData(nameof(Routes))]
    public async Task Route_NeedsAKey_AsV1Does(string path)
    {
        using var wrong = system.Running.ClientWith("chk_wrong");
        using var admin = system.Running.ClientWith(RunningSystem.AdminKey);
        var before = system.Model.Requests.Count;

        foreach (var (client, method, asked) in new[]
        {
            (system.Running.Client, HttpMethod.Post, path), (wrong, HttpMethod.Post, path), (system.Running.Client, HttpMethod.Get, path),
            (system.Running.Client, HttpMethod.Post, path.ToUpperInvariant()), (system.Running.Client, HttpMethod.Post, path + "/more"),
        })
        {
            var answer = await client.SendJsonAsync(method, asked, "{}");
            Assert.Equal((HttpStatusCode.Unauthorized, "invalid_api_key"), (answer.Status, answer.ErrorCode));
        }

        Assert.Equal((HttpStatusCode.Forbidden, "forbidden"), await StatusOfAsync(admin.PostJsonAsync(path, "{}")));
        Assert.Equal((HttpStatusCode.MethodNotAllowed, "method_not_allowed"), await StatusOfAsync(Client.GetJsonAsync(path)));
        Assert.Equal((HttpStatusCode.NotFound, "unknown_url"), await StatusOfAsync(Client.PostJsonAsync(path + "/more", "{}")));
        Assert.Equal(before, system.Model.Requests.Count);
    }

    [Theory]
    [MemberData(nameof(Routes))]
    public async Task Route_ReachesItsNamesake_AndNothingOfTheCallers(string path)
    {
        var seen = (Method: "", Path: "", Query: "", Headers: new Dictionary<string, string>());
        system.Model.Next((context, _) =>
        {
            var request = context.Request;
            seen = (request.Method, request.Path.Value!, request.QueryString.Value ?? "", request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase));
            context.Response.Headers.SetCookie = "upstream=1";
            context.Response.Headers.Server = "uvicorn";
            context.Response.Headers["x-request-id"] = "theirs";
            context.Response.Headers["metadata"] = "kept";
            context.Response.ContentType = "application/json";
            return context.Response.WriteAsync("""{"ok":true}""");
        });

        var answer = await Client.SendJsonAsync(
            HttpMethod.Post, $"{path}?api_key=secret&next=/metrics", """{"input":"x"}""",
            ("Cookie", "session=secret"), ("x-api-key", "secret"), ("X-OpenWebUI-User-Id", "eve"), ("X-Forwarded-For", "10.1.2.3"), ("X-Session-Id", "s"), ("Proxy-Authorization", "Basic secret"),
            ("x-request-id", "mine"), ("traceparent", $"00-{TraceId}-b7ad6b7169203331-01"), ("Expect", "100-continue"), ("TE", "trailers"));

        Assert.Equal((HttpStatusCode.OK, """{"ok":true}""", "kept"), (answer.Status, answer.Text, answer.Headers["metadata"]));
        Assert.Equal(("POST", path, ""), (seen.Method, seen.Path, seen.Query));
        Assert.Equal($"Bearer {GuardedSystem.UpstreamKey}", seen.Headers["Authorization"]);
        Assert.Equal(answer.Headers["x-request-id"], seen.Headers["x-request-id"]);
        Assert.StartsWith("req_", answer.Headers["x-request-id"], StringComparison.Ordinal);
        Assert.Contains(TraceId, seen.Headers["traceparent"], StringComparison.Ordinal);
        Assert.Equal(
            ["authorization", "content-length", "content-type", "host", "traceparent", "x-request-id"],
            seen.Headers.Keys.Select(name => name.ToLowerInvariant()).Where(name => name != "tracestate").Order(StringComparer.Ordinal));
        Assert.Equal("application/json; charset=utf-8", seen.Headers["Content-Type"]);
        Assert.False(answer.Headers.ContainsKey("Set-Cookie") || answer.Headers.ContainsKey("Server"));
        Assert.Equal("""{"input":"x"}""", system.Model.Requests.Last());
    }

    [Theory]
    [InlineData("/metrics")]
    [InlineData("/v1/load_lora_adapter")]
    [InlineData("/v1/unload_lora_adapter")]
    [InlineData("/sleep")]
    [InlineData("/wake_up")]
    [InlineData("/is_sleeping")]
    [InlineData("/collective_rpc")]
    [InlineData("/reset_prefix_cache")]
    [InlineData("/update_weights")]
    [InlineData("/start_profile")]
    [InlineData("/server_info")]
    [InlineData("/version")]
    [InlineData("/ping")]
    [InlineData("/invocations")]
    [InlineData("/v1/tokenize")]
    [InlineData("/v1/classify")]
    [InlineData("/v1/audio/speech")]
    [InlineData("/tokenizer_info")]
    [InlineData("/v1/embeddings/../../metrics")]
    [InlineData("/v1/embeddings/%2e%2e/%2e%2e/metrics")]
    [InlineData("/v1/embeddings/..%2f..%2fmetrics")]
    [InlineData("/v1/embeddings%2f..%2f..%2fmetrics")]
    [InlineData("/tokenize/..;/metrics")]
    [InlineData("/tokenize/%5c..%5cmetrics")]
    [InlineData("/tokenize\\..\\metrics")]
    [InlineData("//metrics")]
    [InlineData("/v1//embeddings")]
    [InlineData("//v1/embeddings")]
    [InlineData("/tokenize//metrics")]
    [InlineData("/tokenize%00/metrics")]
    [InlineData("/tokenize%0d%0aX: y/metrics")]
    [InlineData("http://127.0.0.1:1/metrics")]
    [InlineData("*")]
    public async Task NothingElse_IsReachable(string target)
    {
        var before = system.Model.Requests.Count;
        var authorization = Client.DefaultRequestHeaders.Authorization;
        foreach (var method in new[] { "POST", "GET", "PUT", "OPTIONS", "CONNECT" })
        {
            using var connection = await RawConnection.SendAsync(
                Client.BaseAddress!,
                $"{method} {target} HTTP/1.1\r\nHost: gateway\r\nAuthorization: {authorization}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            await connection.ReadToTheEndAsync();

            Assert.Matches("^HTTP/1.1 (400|404|405) ", connection.Head);
        }

        Assert.Equal(before, system.Model.Requests.Count);
    }

    [Theory]
    [InlineData("/v1/embeddings")]
    [InlineData("/v1/chat/completions")]
    public async Task ChunkThatIsLongerThanAnyCouldBe_IsTheClientsMistake(string path)
    {
        using var connection = await RawConnection.SendAsync(
            Client.BaseAddress!,
            $"POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: {Client.DefaultRequestHeaders.Authorization}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n{{}}");

        await connection.ReadUntilAsync(_ => true);

        Assert.StartsWith("HTTP/1.1 400 ", connection.Head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Upgrade_IsNoWayAroundTheMethod()
    {
        system.Model.Next((context, _) => context.Response.WriteAsync($"{context.Request.Method} {context.Request.Headers.Upgrade}."));
        using var connection = await RawConnection.SendAsync(
            Client.BaseAddress!,
            $"POST /tokenize HTTP/1.1\r\nHost: gateway\r\nAuthorization: {Client.DefaultRequestHeaders.Authorization}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}");

        await connection.ReadUntilAsync(body => body.Contains('.', StringComparison.Ordinal));

        Assert.EndsWith("POST .", connection.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(400, """{"error":{"message":"bad input","type":"BadRequestError","param":"input","code":400}}""", 400, "invalid_request_error", "invalid_request", "input")]
    [InlineData(404, """{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}}""", 404, "invalid_request_error", "model_not_found", "model")]
    [InlineData(404, """{"detail":"Not Found"}""", 404, "invalid_request_error", "unknown_url")]
    [InlineData(422, """{"detail":[{"loc":["body"],"msg":"x"}]}""", 422, "invalid_request_error", "invalid_request")]
    [InlineData(429, "busy", 429, "rate_limit_error", "rate_limit_exceeded")]
    [InlineData(401, """{"error":"Unauthorized"}""", 502, "server_error", "upstream_authentication")]
    [InlineData(500, """{"error":{"message":"Traceback: secret","code":500}}""", 500, "server_error", "upstream_error")]
    [InlineData(503, "<html>", 503, "server_error", "upstream_unavailable")]
    [InlineData(307, "", 502, "server_error", "upstream_error")]
    public async Task ModelServersError_HasOpenAIsEnvelope(int status, string body, int expected, string type, string code, string? param = null)
    {
        system.Model.Next((context, _) =>
        {
            context.Response.StatusCode = status;
            context.Response.Headers.Location = "/metrics";
            context.Response.Headers["metadata"] = "not ours";
            return context.Response.WriteAsync(body);
        });

        var answer = await Client.PostJsonAsync(Embeddings, "{}");

        Assert.Equal((expected, type, code), ((int)answer.Status, answer.ErrorType, answer.ErrorCode));
        Assert.Equal(param, answer.Body.GetProperty("error").GetProperty("param").GetString());
        Assert.DoesNotContain("secret", answer.Text, StringComparison.Ordinal);
        Assert.False(answer.Headers.ContainsKey("Location") || answer.Headers.ContainsKey("metadata"));
        ErrorTests.AssertEnvelope(answer);
    }

    [Fact]
    public async Task SilenceBeforeTheAnswer_IsATimeout()
    {
        var left = new TaskCompletionSource();
        system.Model.Next(async (context, _) =>
        {
            context.RequestAborted.Register(left.SetResult);
            await left.Task;
        });

        var answer = await Client.PostJsonAsync(Embeddings, "{}");

        Assert.Equal((HttpStatusCode.GatewayTimeout, "upstream_timeout"), (answer.Status, answer.ErrorCode));
        Assert.Contains("within 2 s", answer.ErrorMessage, StringComparison.Ordinal);
        ErrorTests.AssertEnvelope(answer);
        await left.Task.WaitAsync(Eventually.DefaultLimit);
    }

    [Fact]
    public async Task BrokenConnectionBeforeTheAnswer_IsUnavailable()
    {
        system.Model.Next((context, _) =>
        {
            context.Abort();
            return Task.CompletedTask;
        });

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "upstream_unavailable"), await StatusOfAsync(Client.PostJsonAsync(Embeddings, "{}")));
    }

    [Theory]
    [InlineData(true, "upstream_timeout")]
    [InlineData(false, "upstream_ended_early")]
    public async Task FailureInsideAStream_IsAnErrorChunkAndACut(bool silent, string code)
    {
        const string Arrived = "data: {\"id\":\"cmpl-1\"}\n\ndata: {\"half\":";
        system.Model.Next(async (context, _) =>
        {
            context.Response.ContentType = "text/event-stream; charset=utf-8";
            await context.Response.WriteAsync(Arrived);
            await context.Response.Body.FlushAsync();
            if (silent)
            {
                var left = new TaskCompletionSource();
                context.RequestAborted.Register(left.SetResult);
                await left.Task;
            }

            throw new InvalidOperationException("the model server breaks off");
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = RunningSystem.Json("""{"stream":true}""") };
        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

        var answer = await StreamedAnswer.ReadAsync(response);

        Assert.Equal((HttpStatusCode.OK, code, HttpRequestError.ResponseEnded), (answer.Status, answer.ErrorCode, answer.Cut?.HttpRequestError));
        Assert.StartsWith(Arrived + "\n\ndata: {\"error\":", answer.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("kept in the history", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HeadersOfAStream_DoNotWaitForItsFirstByte()
    {
        var go = new TaskCompletionSource();
        system.Model.Next(async (context, _) =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.Body.FlushAsync();
            await go.Task;
            await context.Response.WriteAsync("data: [DONE]\n\n");
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = RunningSystem.Json("""{"stream":true}""") };

        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        go.SetResult();

        Assert.Equal("data: [DONE]\n\n", (await StreamedAnswer.ReadAsync(response)).Text);
    }

    [Fact]
    public async Task WholeAnswerThatBreaksOff_IsNotTakenForWhole()
    {
        system.Model.Next(async (context, _) =>
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync("""{"data":[""");
            await context.Response.Body.FlushAsync();
            throw new InvalidOperationException("the model server breaks off");
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, Embeddings) { Content = RunningSystem.Json("{}") };
        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

        Assert.Equal(HttpRequestError.ResponseEnded, (await StreamedAnswer.ReadAsync(response)).Cut?.HttpRequestError);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task BodyThatIsTooLarge_IsRefused(bool announced)
    {
        var before = system.Model.Requests.Count;
        var body = Encoding.UTF8.GetBytes($$"""{"input":"{{new string('x', GuardedSystem.MaxBytes)}}"}""");
        using var request = new HttpRequestMessage(HttpMethod.Post, Embeddings) { Content = new ByteArrayContent(body) { Headers = { ContentType = new("application/json") } } };
        request.Headers.TransferEncodingChunked = !announced;

        using var response = await Client.SendAsync(request);
        var answer = await Answer.ReadAsync(response);

        Assert.Equal((413, "request_too_large"), ((int)answer.Status, answer.ErrorCode));
        ErrorTests.AssertEnvelope(answer);
        // The rest of the body is not read: whoever sent it must not send the next request behind it.
        Assert.True(response.Headers.ConnectionClose);
        Assert.Equal(before, system.Model.Requests.Count);
    }

    [Fact]
    public async Task File_GoesThroughAsItIs()
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent([1, 2, 3, 0, 255]), "file", "a.wav" }, { new StringContent("whisper"), "model" } };
        var sent = await form.ReadAsStringAsync();
        string? contentType = null;
        system.Model.Next((context, _) =>
        {
            contentType = context.Request.ContentType;
            context.Response.ContentType = "text/plain";
            return context.Response.WriteAsync("what was said");
        });

        using var response = await Client.PostAsync("/v1/audio/transcriptions", form);

        Assert.Equal("what was said", await response.Content.ReadAsStringAsync());
        Assert.Equal(form.Headers.ContentType!.ToString(), contentType);
        Assert.Equal(sent, system.Model.Requests.Last());
    }

    private static async Task<(HttpStatusCode, string?)> StatusOfAsync(Task<Answer> asking)
    {
        var answer = await asking;
        return (answer.Status, answer.ErrorCode);
    }
}
