using System.Net;
using ChatHistory.Gateway.Upstream;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>Personal mode trusts the people on a machine, and not the pages that their browsers show; and what an answer says stays with its reader.</summary>
public sealed class WebPagesTests(PersonalSystem personal, KeyedSystem keyed) : IClassFixture<PersonalSystem>, IClassFixture<KeyedSystem>
{
    [Theory]
    [InlineData("127.0.0.1:8080", 200)]
    [InlineData("[::1]:8080", 200)]
    [InlineData("localhost", 200)]
    [InlineData("gateway:8080", 200)]
    [InlineData("host.docker.internal:8080", 200)]
    [InlineData("chat.localhost", 200)]
    [InlineData("evil.example.com", 403)]
    [InlineData("127.0.0.1.evil.example", 403)]
    [InlineData("localhost.evil.example:8080", 403)]
    public async Task Host_IsOneOfThisMachine(string host, int status)
    {
        using var connection = await RawConnection.SendAsync(personal.Client.BaseAddress!, $"GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        await connection.ReadToTheEndAsync();

        Assert.StartsWith($"HTTP/1.1 {status} ", connection.Head, StringComparison.Ordinal);
        Assert.Equal(status == 403, connection.Body.Contains("unknown_host", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://localhost:3000", HttpStatusCode.OK)]
    [InlineData("http://127.0.0.1:5173", HttpStatusCode.OK)]
    [InlineData("app://ui", HttpStatusCode.OK)]
    [InlineData("https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("http://127.0.0.1.evil.example", HttpStatusCode.Forbidden)]
    [InlineData("null", HttpStatusCode.Forbidden)]
    public async Task Origin_IsOneOfThisMachine(string origin, HttpStatusCode status)
    {
        var answer = await personal.Client.SendJsonAsync(HttpMethod.Post, Completions, Body(NewPrompt(), stream: false), ("Origin", origin));

        Assert.Equal(status, answer.Status);
        Assert.False(answer.Headers.ContainsKey("Access-Control-Allow-Origin"));
        if (status == HttpStatusCode.Forbidden)
        {
            Assert.Equal("foreign_origin", answer.ErrorCode);
            ErrorTests.AssertEnvelope(answer);
        }
    }

    [Fact]
    public async Task Key_IsAskedForWhateverTheHost()
    {
        using var client = await keyed.Running.ClientOfAsync("ada");

        Assert.Equal(HttpStatusCode.OK, (await client.SendJsonAsync(HttpMethod.Get, "/v1/sessions", headers: [("Host", "chat.example.com"), ("Origin", "https://chat.example.com")])).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await keyed.Client.SendJsonAsync(HttpMethod.Get, "/v1/sessions", headers: [("Host", "127.0.0.1"), ("Origin", "http://127.0.0.1")])).Status);
    }

    [Theory]
    [InlineData("/v1/sessions")]
    [InlineData("/v1/nothing")]
    [InlineData("/v1/models")]
    public async Task PrivateAnswers_AreInNoCache(string path)
    {
        var answer = await personal.Client.GetJsonAsync(path);

        Assert.Equal(("no-store", "nosniff"), (answer.Headers["Cache-Control"], answer.Headers["X-Content-Type-Options"]));
        Assert.False(answer.Headers.ContainsKey("Server") || answer.Headers.ContainsKey("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task Stream_IsInNoCache_AndGatheredByNobody()
    {
        var stream = await personal.Client.StreamAsync(Body(NewPrompt(), stream: true));

        Assert.Equal(("no-store, no-cache", "no"), (stream.Headers["Cache-Control"], stream.Headers["X-Accel-Buffering"]));
    }

    [Fact]
    public async Task Reference_IsInNobodysFrame()
    {
        using var page = await personal.Client.GetAsync("/scalar/v1");

        Assert.Equal("text/html", page.Content.Headers.ContentType?.MediaType);
        Assert.Contains("frame-ancestors 'none'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Equal("DENY", page.Headers.GetValues("X-Frame-Options").Single());
    }

    /// <summary>Whether a session is being answered is its owner's to know, and its line is not for strangers to stand in.</summary>
    [Fact]
    public async Task LineOfASession_IsItsOwners()
    {
        using var owner = await keyed.Running.ClientOfAsync("ada");
        using var stranger = await keyed.Running.ClientOfAsync("eve");
        var session = (await owner.PostJsonAsync(Completions, Body(NewPrompt(), stream: false))).SessionId;
        string In(string prompt, string more = "", string simulator = "{}") => Body(prompt, stream: false, simulator, $"\"session_id\":\"{session}\"{more}");
        var running = owner.PostJsonAsync(Completions, In(NewPrompt(), simulator: """{"ttft_ms":60000}"""));
        await Eventually.GetAsync(async () => (await owner.GetJsonAsync($"/v1/sessions/{session}/runs")).Body.GetProperty("runs").GetArrayLength(), runs => runs == 1);

        foreach (var rule in new[] { "reject", "interrupt", "branch", "enqueue" })
        {
            var refused = await stranger.PostJsonAsync(Completions, In("x", $",\"multitask\":\"{rule}\""));
            Assert.Equal((HttpStatusCode.NotFound, "session_not_found"), (refused.Status, refused.ErrorCode));
        }

        var run = (await owner.GetJsonAsync($"/v1/sessions/{session}/runs")).Body.GetProperty("runs")[0].GetProperty("run_id").GetString();
        Assert.Equal("session_busy", (await owner.PostJsonAsync(Completions, In("x", ",\"multitask\":\"reject\""))).ErrorCode);
        await owner.PostJsonAsync($"/v1/sessions/{session}/runs/{run}/stop", "{}");
        await running;
    }

    [Theory]
    [InlineData("cannot identify image file <_io.BytesIO object at 0x7f2c44107e90>", "cannot identify image file <_io.BytesIO object at …>")]
    [InlineData("Cannot connect to host 10.0.0.7:8000 ssl:default", "Cannot connect to host … ssl:default")]
    [InlineData("File \"/usr/local/lib/python3.12/site-packages/vllm/x.py\", line 3", "File \"…\", line 3")]
    [InlineData("see http://vllm:8000/v1/models", "see …")]
    [InlineData("token Bearer hf_abcdefghijklmnop refused", "token … refused")]
    [InlineData("This model's maximum context length is 4096 tokens. However, you requested 5000.", "This model's maximum context length is 4096 tokens. However, you requested 5000.")]
    [InlineData("The model `Qwen/Qwen3-0.6B` does not exist.", "The model `Qwen/Qwen3-0.6B` does not exist.")]
    [InlineData("Use /v1/chat/completions and/or temperature 0.5/1.0", "Use /v1/chat/completions and/or temperature 0.5/1.0")]
    public void ModelServersWords_TellNothingOfItsMachine(string text, string told) => Assert.Equal(told, UpstreamText.Message(text));
}
