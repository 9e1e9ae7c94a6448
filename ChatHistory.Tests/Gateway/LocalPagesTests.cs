using System.Net;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>Personal mode in a browser's reach: no page of another site reads the history or asks the model, by its own name or across origins.</summary>
public sealed class LocalPagesTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private int Port => system.Client.BaseAddress!.Port;

    [Theory]
    [InlineData("evil.example")]
    [InlineData("evil.example:8080")]
    [InlineData("localhost.evil.example")]
    [InlineData("evil.localhost.example")]
    [InlineData("127.0.0.1.evil.example")]
    [InlineData("127.0.0.1.nip.io")]
    [InlineData("localhost.:80.evil.example")]
    [InlineData("10.0.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("[::2]")]
    [InlineData("gateway")]
    public async Task NameOfAnotherSite_ReadsNothing(string host)
    {
        foreach (var (method, path, body) in Requests)
        {
            var answer = await system.Client.SendJsonAsync(method, path, body, ("Host", host));

            // What is no host at all is refused before it gets here.
            Assert.True(answer.Status is HttpStatusCode.Forbidden or HttpStatusCode.BadRequest, $"{method} {path} as {host}: {answer.Status} {answer.Text}");
            if (answer.Status == HttpStatusCode.Forbidden)
            {
                Assert.Equal(("host_not_allowed", "permission_error"), (answer.ErrorCode, answer.ErrorType));
                Assert.Contains("Identity:AllowedHosts", answer.ErrorMessage, StringComparison.Ordinal);
                ErrorTests.AssertEnvelope(answer);
            }
        }

        Assert.Empty(await system.Simulator.RequestsWithAsync("rebound"));
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("LOCALHOST")]
    [InlineData("127.0.0.1")]
    [InlineData("127.1.2.3")]
    [InlineData("[::1]")]
    [InlineData("host.docker.internal")]
    public async Task NameOfThisMachine_IsServed(string host)
    {
        Assert.Equal(HttpStatusCode.OK, (await system.Client.SendJsonAsync(HttpMethod.Get, "/v1/sessions?user_id=ada", headers: ("Host", host))).Status);
        Assert.Equal(HttpStatusCode.OK, (await system.Client.SendJsonAsync(HttpMethod.Get, "/v1/sessions?user_id=ada", headers: ("Host", $"{host}:{Port}"))).Status);
    }

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("http://evil.example:8080")]
    [InlineData("http://localhost.evil.example")]
    [InlineData("null")]
    [InlineData("file://")]
    [InlineData("chrome-extension://abcdef")]
    public async Task PageOfAnotherSite_AsksNothing(string origin)
    {
        foreach (var (method, path, body) in Requests)
        {
            var answer = await system.Client.SendJsonAsync(method, path, body, ("Origin", origin));

            Assert.Equal((HttpStatusCode.Forbidden, "origin_not_allowed"), (answer.Status, answer.ErrorCode));
            Assert.False(answer.Headers.ContainsKey("Access-Control-Allow-Origin"));
        }

        Assert.Empty(await system.Simulator.RequestsWithAsync("rebound"));
    }

    [Fact]
    public async Task PageOfThisMachine_AndHealthForAnybody_AreServed()
    {
        foreach (var origin in new[] { $"http://localhost:{Port}", "http://localhost:3000", "https://127.0.0.1", "http://[::1]:3000" })
        {
            Assert.Equal(HttpStatusCode.OK, (await system.Client.SendJsonAsync(HttpMethod.Post, Completions, Body(NewPrompt(), stream: false), ("Origin", origin))).Status);
        }

        using var probe = new HttpRequestMessage(HttpMethod.Get, "/health") { Headers = { Host = "10.244.1.7:8080" } };
        Assert.Equal(HttpStatusCode.OK, (await system.Client.SendAsync(probe)).StatusCode);
    }

    [Fact]
    public async Task ConfiguredName_IsServed_AndAKeyNeedsNone()
    {
        await using var named = await RunningSystem.StartAsync(settings: ("Identity__AllowedHosts__0", "gateway"));
        Assert.Equal(HttpStatusCode.OK, (await named.Client.SendJsonAsync(HttpMethod.Get, "/v1/sessions?user_id=ada", headers: ("Host", "gateway:8080"))).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await named.Client.SendJsonAsync(HttpMethod.Get, "/v1/sessions?user_id=ada", headers: ("Host", "evil.example"))).Status);

        await using var keyed = await RunningSystem.StartAsync(settings: ("Identity__AdminKey", RunningSystem.AdminKey));
        using var ada = await keyed.ClientOfAsync("ada");
        Assert.Equal(HttpStatusCode.OK, (await ada.SendJsonAsync(HttpMethod.Get, "/v1/sessions", headers: [("Host", "chat.example"), ("Origin", "https://app.example")])).Status);
    }

    private static (HttpMethod Method, string Path, string? Body)[] Requests =>
    [
        (HttpMethod.Get, "/v1/sessions?user_id=default_user", null),
        (HttpMethod.Get, "/v1/users/default_user/history", null),
        (HttpMethod.Post, Completions, Body("rebound", stream: false)),
        (HttpMethod.Post, "/v1/sessions", """{"user_id":"rebound"}"""),
        (HttpMethod.Delete, "/v1/sessions/session_001", null),
        (HttpMethod.Post, "/v1/embeddings", """{"input":"rebound"}"""),
        (HttpMethod.Post, "/tokenize", """{"prompt":"rebound"}"""),
    ];
}
