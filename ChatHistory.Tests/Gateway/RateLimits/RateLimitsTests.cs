using System.ClientModel;
using System.Globalization;
using System.Net;
using ChatHistory.Tests.Processes;
using OpenAI;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.RateLimits;

/// <summary>What a key may, and what it is told when it wants more.</summary>
public sealed class RateLimitsTests(LimitedSystem system) : IClassFixture<LimitedSystem>
{
    [Fact]
    public async Task Requests_AreCountedOnEveryRoute()
    {
        var (client, _) = await system.ClientWithAsync("""{"requests_per_minute":5}""");
        using var closing = client;
        string[] paths = ["/v1/sessions", "/v1/nothing", "/v1/models", "/v1/sessions?limit=x", "/v1/chat/completions"];
        for (var i = 0; i < paths.Length; i++)
        {
            var answer = await client.GetJsonAsync(paths[i]);
            Assert.NotEqual(HttpStatusCode.TooManyRequests, answer.Status);
            Assert.Equal(("5", $"{4 - i}"), (answer.Headers["x-ratelimit-limit-requests"], answer.Headers["x-ratelimit-remaining-requests"]));
            Assert.Matches("^([0-9]+s|[0-9]+ms|1m0s)$", answer.Headers["x-ratelimit-reset-requests"]);
        }

        var refused = await client.PostJsonAsync(Completions, "{");
        Assert.Equal((HttpStatusCode.TooManyRequests, "rate_limit_exceeded", "requests"), (refused.Status, refused.ErrorCode, refused.ErrorType));
        Assert.InRange(int.Parse(refused.Headers["Retry-After"], CultureInfo.InvariantCulture), 1, 12);
        Assert.InRange(int.Parse(refused.Headers["retry-after-ms"], CultureInfo.InvariantCulture), 1, 12_000);
        Assert.Equal("0", refused.Headers["x-ratelimit-remaining-requests"]);
        Assert.Contains("at most 5 requests per minute", refused.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OfficialClient_WaitsAndSucceeds()
    {
        var (client, _) = await system.ClientWithAsync("""{"requests_per_minute":60}""");
        using (client)
        {
            while ((await client.GetJsonAsync("/v1/sessions")).Status == HttpStatusCode.OK)
            {
            }

            var key = client.DefaultRequestHeaders.Authorization!.Parameter!;
            var openAI = new OpenAIClient(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(system.Running.Gateway.Addresses[0], "/v1") });

            var completion = await openAI.GetChatClient(RunningSystem.Model).CompleteChatAsync(NewPrompt());

            Assert.NotEmpty(completion.Value.Content);
        }
    }

    [Fact]
    public async Task Tokens_AreEstimatedBefore_AndSettledAfter()
    {
        var (client, _) = await system.ClientWithAsync("""{"tokens_per_minute":1000}""");
        using var closing = client;

        var tooLarge = await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false, more: "\"max_tokens\":5000"));
        Assert.Equal((HttpStatusCode.TooManyRequests, "rate_limit_exceeded", "tokens", "false"), (tooLarge.Status, tooLarge.ErrorCode, tooLarge.ErrorType, tooLarge.Headers["x-should-retry"]));
        Assert.Equal("1000", tooLarge.Headers["x-ratelimit-remaining-tokens"]);

        // 900 are reserved while it is answered; what was not used comes back.
        var answered = await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false, """{"tokens":10}""", "\"max_tokens\":900"));
        Assert.Equal(HttpStatusCode.OK, answered.Status);
        Assert.InRange(Remaining(answered), 0, 100);
        var used = answered.Body.GetProperty("usage").GetProperty("total_tokens").GetInt32();
        await Eventually.GetAsync(async () => Remaining(await client.GetJsonAsync("/v1/sessions")), remaining => remaining >= 1000 - used, TimeSpan.FromSeconds(5));

        // What nobody could foresee is owed.
        var longer = await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false, """{"tokens":1500}"""));
        Assert.Equal(HttpStatusCode.OK, longer.Status);
        var refused = await Eventually.GetAsync(
            () => client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false)), answer => answer.Status == HttpStatusCode.TooManyRequests, TimeSpan.FromSeconds(5));
        Assert.Equal("rate_limit_exceeded", refused.ErrorCode);
        Assert.Equal("0", refused.Headers["x-ratelimit-remaining-tokens"]);
        // Reading costs no tokens.
        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);
    }

    [Fact]
    public async Task PassedThroughRoutes_PayTheirTokens()
    {
        var (client, _) = await system.ClientWithAsync("""{"tokens_per_minute":1000}""");
        using var closing = client;
        var answer = await client.PostJsonAsync("/v1/completions", """{"model":"Qwen/Qwen3-0.6B","prompt":"Once upon a time","max_tokens":300}""");
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        var used = answer.Body.GetProperty("usage").GetProperty("total_tokens").GetInt32();

        var remaining = await Eventually.GetAsync(async () => Remaining(await client.GetJsonAsync("/v1/sessions")), left => left >= 1000 - used, TimeSpan.FromSeconds(5));

        Assert.InRange(remaining, 1000 - used, 999);
    }

    [Fact]
    public async Task Turns_AtTheSameTime_AreLimited_AndOneAfterTheOtherAreNot()
    {
        var (client, _) = await system.ClientWithAsync("""{"concurrent_turns":1}""");
        using var closing = client;
        for (var i = 0; i < 20; i++)
        {
            var (answer, streamed) = (await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false)), await client.StreamAsync(Body(NewPrompt(), stream: true)));
            Assert.Equal((HttpStatusCode.OK, true), (answer.Status, streamed.IsDone));
        }

        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var leave = new CancellationTokenSource();
        var slow = SlowAsync(client, begun, leave.Token);
        await begun.Task;
        foreach (var (path, body) in new[]
        {
            (Completions, Body(NewPrompt(), stream: true)),
            (Completions, Body(NewPrompt(), stream: false, more: "\"store\":false")),
            ("/v1/responses", """{"input":"Hello"}"""),
            ("/v1/embeddings", """{"input":"Hello"}"""),
        })
        {
            var refused = await client.PostJsonAsync(path, body);
            Assert.Equal((HttpStatusCode.TooManyRequests, "rate_limit_exceeded"), (refused.Status, refused.ErrorCode));
            Assert.Equal("1", refused.Headers["Retry-After"]);
        }

        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);
        await leave.CancelAsync();
        await slow;
        await Eventually.GetAsync(() => client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false)), answer => answer.Status == HttpStatusCode.OK);
    }

    [Fact]
    public async Task DailyQuota_OutlivesTheGateway_AndCanBeRaised()
    {
        var (client, keyId) = await system.ClientWithAsync("""{"tokens_per_day":200}""");
        using var closing = client;
        Assert.Equal(HttpStatusCode.OK, (await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false, """{"tokens":300}"""))).Status);
        async Task<Answer> AskAsync() => await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false));

        var refused = await AskAsync();
        Assert.Equal((HttpStatusCode.TooManyRequests, "insufficient_quota", "insufficient_quota", "false"), (refused.Status, refused.ErrorCode, refused.ErrorType, refused.Headers["x-should-retry"]));
        Assert.Contains("200 tokens per day", refused.ErrorMessage, StringComparison.Ordinal);
        await system.Running.Gateway.StopAsync();
        await system.Running.Gateway.RestartAsync();
        await system.Running.WaitUntilHealthyAsync();
        Assert.Equal("insufficient_quota", (await AskAsync()).ErrorCode);

        var read = await system.Admin.GetJsonAsync($"/admin/keys/{keyId}");
        Assert.True(read.Body.GetProperty("usage").GetProperty("tokens_today").GetInt64() > 300, read.Text);
        Assert.Equal((200, 40), (read.Body.GetProperty("limits_in_force").GetProperty("tokens_per_day").GetInt32(), read.Body.GetProperty("limits_in_force").GetProperty("concurrent_turns").GetInt32()));

        var patched = await system.Admin.SendJsonAsync(HttpMethod.Patch, $"/admin/keys/{keyId}", """{"limits":{"tokens_per_day":0},"name":"raised"}""");
        Assert.Equal((HttpStatusCode.OK, "raised"), (patched.Status, patched.Body.GetProperty("name").GetString()));
        // A second that the key is remembered for, and a little.
        await Eventually.GetAsync(AskAsync, answer => answer.Status == HttpStatusCode.OK, TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task StoredBytes_AreLimited_ByAnyRoute_AndComeBackWhenDeleted()
    {
        var (client, _) = await system.ClientWithAsync("""{"stored_bytes":4000}""");
        using var closing = client;
        var session = (await client.PostJsonAsync("/v1/sessions", """{"user_id":"x"}""")).Body.GetProperty("session_id").GetString()!;
        var filler = $$"""{"role":"user","content":"{{new string('x', 1000)}}"}""";
        var last = await Eventually.GetAsync(() => client.PostJsonAsync($"/v1/sessions/{session}/messages", filler), answer => answer.Status != HttpStatusCode.Created);
        Assert.Equal((HttpStatusCode.TooManyRequests, "insufficient_quota", "false"), (last.Status, last.ErrorCode, last.Headers["x-should-retry"]));

        var prompt = NewPrompt();
        var padded = $"{prompt} {new string('y', 900)}";
        foreach (var (path, body) in new[]
        {
            (Completions, Body(padded, stream: false)),
            (Completions, Body(padded, stream: true)),
            ("/v1/responses", $$"""{"input":"{{padded}}"}"""),
            ("/v1/responses", $$"""{"input":"{{padded}}","background":true}"""),
            ("/v1/conversations", $$"""{"metadata":{"a":"{{new string('m', 500)}}","b":"{{new string('m', 500)}}" },"items":[{"type":"message","role":"user","content":"{{padded}}"}]}"""),
        })
        {
            var refused = await client.PostJsonAsync(path, body);
            Assert.True((refused.Status, refused.ErrorCode) == (HttpStatusCode.TooManyRequests, "insufficient_quota"), $"{path}: {refused.Status} {refused.Text}");
        }

        Assert.Empty(await system.Simulator.RequestsWithAsync(prompt));
        Assert.Equal(HttpStatusCode.OK, (await client.PostJsonAsync(Completions, Body(padded, stream: false, more: "\"store\":false"))).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await client.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{session}")).Status);
        Assert.Equal(HttpStatusCode.OK, (await client.PostJsonAsync(Completions, Body(padded, stream: false, """{"tokens":5}"""))).Status);
    }

    [Fact]
    public async Task Limits_OfOneKey_AreNotAnothers()
    {
        var (limited, _) = await system.ClientWithAsync("""{"requests_per_minute":1}""", "same-user");
        var (free, _) = await system.ClientWithAsync("""{"requests_per_minute":0}""", "same-user");
        using var closing = limited;
        using var closingToo = free;
        await limited.GetJsonAsync("/v1/sessions");

        Assert.Equal(HttpStatusCode.TooManyRequests, (await limited.GetJsonAsync("/v1/sessions")).Status);
        var answer = await free.GetJsonAsync("/v1/sessions");
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.DoesNotContain(answer.Headers.Keys, name => name.StartsWith("x-ratelimit", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("""{"requests_per_minute":-1}""", "limits.requests_per_minute")]
    [InlineData("""{"requests_per_minuet":1}""", null)]
    [InlineData("""{"requests_per_minute":"many"}""", null)]
    public async Task LimitsThatAreNone_AreRefused(string limits, string? param)
    {
        var made = await system.Admin.PostJsonAsync("/admin/keys", $$"""{"user_id":"u","limits":{{limits}}}""");
        Assert.Equal(HttpStatusCode.BadRequest, made.Status);
        if (param is not null)
        {
            Assert.Equal(param, made.Body.GetProperty("error").GetProperty("param").GetString());
        }

        var (client, keyId) = await system.ClientWithAsync("{}");
        using var closing = client;
        Assert.Equal(HttpStatusCode.BadRequest, (await system.Admin.SendJsonAsync(HttpMethod.Patch, $"/admin/keys/{keyId}", $$"""{"limits":{{limits}}}""")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await system.Admin.SendJsonAsync(HttpMethod.Patch, $"/admin/keys/{keyId}", """{"role":"admin"}""")).Status);
    }

    [Fact]
    public async Task WrongKeys_AreSlowedDown_AndRightOnesAreNot()
    {
        var (client, _) = await system.ClientWithAsync("{}");
        using var closing = client;
        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 10 * LimitedSystem.WrongKeys; i++)
        {
            using var guesser = system.Running.ClientWith($"guess-{i}");
            var answer = await guesser.GetJsonAsync("/v1/sessions");
            statuses.Add(answer.Status);
            if (answer.Status == HttpStatusCode.TooManyRequests)
            {
                Assert.Equal("too_many_wrong_keys", answer.ErrorCode);
                Assert.True(int.Parse(answer.Headers["Retry-After"], CultureInfo.InvariantCulture) >= 1);
            }
        }

        Assert.All(statuses.Take(LimitedSystem.WrongKeys), status => Assert.Equal(HttpStatusCode.Unauthorized, status));
        Assert.All(statuses.TakeLast(LimitedSystem.WrongKeys), status => Assert.Equal(HttpStatusCode.TooManyRequests, status));
        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);
        var (made, _) = await system.ClientWithAsync("{}");
        using (made)
        {
            Assert.Equal(HttpStatusCode.OK, (await made.GetJsonAsync("/v1/sessions")).Status);
        }

        // Without any key nothing is guessed.
        Assert.Equal(HttpStatusCode.Unauthorized, (await system.Running.Client.GetJsonAsync("/v1/sessions")).Status);
    }

    /// <summary>Each is a 4xx in OpenAI's envelope that names the field, the limit and the remedy.</summary>
    [Theory]
    [InlineData(Completions, """{"messages":[MESSAGES]}""", 400, "messages", "at most 50")]
    [InlineData("/v1/responses", """{"input":[MESSAGES]}""", 400, "input", "at most 50")]
    [InlineData(Completions, """{"messages":[{"role":"user","content":"BIG"}]}""", 413, "messages[0]", "Limits:MaxMessageBytes")]
    [InlineData("/v1/responses", """{"input":[{"role":"user","content":"BIG"}]}""", 413, "input[0]", "Limits:MaxMessageBytes")]
    [InlineData("/v1/conversations", """{"items":[{"type":"message","role":"user","content":"BIG"}]}""", 413, "items[0]", "Limits:MaxMessageBytes")]
    [InlineData("SESSION/messages", """{"role":"user","content":"BIG"}""", 413, "content", "Limits:MaxMessageBytes")]
    [InlineData(Completions, """{"tools":[TOOLS],"messages":[{"role":"user","content":"x"}]}""", 400, "tools", "Limits:MaxTools")]
    [InlineData("/v1/responses", """{"tools":[TOOLS],"input":"x"}""", 400, "tools", "Limits:MaxTools")]
    [InlineData(Completions, """{"model":"LONG","messages":[{"role":"user","content":"x"}]}""", 400, "model", "at most 256")]
    [InlineData("/v1/completions", """{"model":"LONG","prompt":"x"}""", 400, "model", "at most 256")]
    [InlineData(Completions, """{"user":"LONG","messages":[{"role":"user","content":"x"}]}""", 400, "user", "at most 256")]
    [InlineData(Completions, """{"session_id":"LONG","messages":[{"role":"user","content":"x"}]}""", 400, "session_id", "at most 256")]
    [InlineData(Completions, """{"n":129,"messages":[{"role":"user","content":"x"}]}""", 400, "n", "128")]
    [InlineData(Completions, """{"metadata":{"a":"LONGER"},"messages":[{"role":"user","content":"x"}]}""", 400, "metadata", "at most 512")]
    [InlineData("/v1/sessions", """{"title":"LONGER"}""", 400, "title", "at most 512")]
    [InlineData("/v1/sessions", """{"metadata":{"a":"BIG"}}""", 400, "metadata", "16384")]
    [InlineData("/v1/sessions?limit=1001", null, 400, "limit", "1000")]
    [InlineData("/v1/conversations?limit=101", null, 400, "limit", "100")]
    [InlineData("/v1/sessions?limit=-1", null, 400, "limit", "from 1")]
    [InlineData("ADMIN/keys", """{"user_id":"LONG"}""", 400, "user_id", "at most 256")]
    [InlineData("ADMIN/keys", """{"user_id":"u","name":"LONG"}""", 400, "name", "at most 256")]
    [InlineData("ADMIN/keys", """{"user_id":"u","role":"root"}""", 400, "role", "trusted_proxy")]
    [InlineData("ADMIN/keys", """{"role":"user"}""", 400, "user_id", "needed")]
    [InlineData("ADMIN/keys", """{"user_id":"u","role":"admin"}""", 400, "user_id", "owns no conversations")]
    public async Task WhatIsTooLarge_IsNamed(string path, string? body, int status, string param, string said)
    {
        var (client, _) = await system.ClientWithAsync("{}");
        using var closing = client;
        body = body?
            .Replace("MESSAGES", string.Join(',', Enumerable.Repeat("""{"role":"user","content":"x"}""", 51)), StringComparison.Ordinal)
            .Replace("TOOLS", string.Join(',', Enumerable.Range(0, 6).Select(i => $$$"""{"type":"function","name":"f{{{i}}}","function":{"name":"f{{{i}}}"}}""")), StringComparison.Ordinal)
            .Replace("LONGER", new string('l', 600), StringComparison.Ordinal)
            .Replace("LONG", new string('l', 257), StringComparison.Ordinal)
            .Replace("BIG", new string('b', 20_001), StringComparison.Ordinal);
        var isAdmin = path.StartsWith("ADMIN", StringComparison.Ordinal);
        path = path.Replace("ADMIN", "/admin", StringComparison.Ordinal);
        if (path.StartsWith("SESSION", StringComparison.Ordinal))
        {
            path = path.Replace("SESSION", $"/v1/sessions/{(await client.PostJsonAsync("/v1/sessions", "{}")).Body.GetProperty("session_id").GetString()}", StringComparison.Ordinal);
        }

        var answer = await (isAdmin ? system.Admin : client).SendJsonAsync(body is null ? HttpMethod.Get : HttpMethod.Post, path, body);

        Assert.Equal((status, param), ((int)answer.Status, answer.Body.GetProperty("error").GetProperty("param").GetString()));
        Assert.Contains(said, answer.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task IdempotencyKey_HasALimit()
    {
        var (client, _) = await system.ClientWithAsync("{}");
        using var closing = client;
        var answer = await client.SendJsonAsync(HttpMethod.Post, Completions, Body(NewPrompt(), stream: false), ("Idempotency-Key", new string('k', 256)));
        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Contains("at most 255", answer.ErrorMessage, StringComparison.Ordinal);
    }

    private static long Remaining(Answer answer) => long.Parse(answer.Headers["x-ratelimit-remaining-tokens"], CultureInfo.InvariantCulture);

    private static async Task SlowAsync(HttpClient client, TaskCompletionSource begun, CancellationToken leave)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Completions) { Content = RunningSystem.Json(Body(NewPrompt(), stream: true, """{"tokens":4000,"token_ms":20}""")) };
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave);
            begun.TrySetResult();
            await response.Content.ReadAsStringAsync(leave);
        }
        catch (OperationCanceledException)
        {
            // It left, as it was told to.
        }
    }
}
