using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text.Json;
using ChatHistory.Gateway.PassThrough;
using ChatHistory.Tests.Processes;
using OpenAI;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>The other routes of vLLM, against the simulator: what comes out of the gateway is what the model server said.</summary>
public sealed class PassThroughTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private const string TextCompletions = "/v1/completions";
    private static readonly TimeSpan s_stopsWithin = TimeSpan.FromSeconds(1);

    private HttpClient Client => system.Client;

    [Fact]
    public async Task Embeddings_ReachTheOfficialClient()
    {
        var openAI = new OpenAIClient(
            new ApiKeyCredential("none-needed"), new OpenAIClientOptions { Endpoint = new Uri(Client.BaseAddress!, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });

        var embeddings = (await openAI.GetEmbeddingClient(RunningSystem.Model).GenerateEmbeddingsAsync(["a black cat", "ein schwarzer Kater"])).Value;

        var direct = await Direct().PostJsonAsync("/v1/embeddings", """{"input":["a black cat","ein schwarzer Kater"]}""");
        Assert.Equal(2, embeddings.Count);
        for (var i = 0; i < embeddings.Count; i++)
        {
            var expected = direct.Body.GetProperty("data")[i].GetProperty("embedding").EnumerateArray().Select(number => number.GetSingle());
            Assert.Equal(expected, embeddings[i].ToFloats().ToArray());
        }
    }

    [Fact]
    public async Task Completion_IsTheModelServersOwn_WithOurRequestId()
    {
        var prompt = NewPrompt();
        var sessions = (await Client.GetJsonAsync("/v1/sessions")).Text;

        var answer = await Client.PostJsonAsync(TextCompletions, $$"""{"prompt":"{{prompt}}","max_tokens":12}""");

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        // vLLM takes x-request-id into the completion's id.
        Assert.Equal($"cmpl-{answer.Headers["x-request-id"]}", answer.Body.GetProperty("id").GetString());
        Assert.Equal("2020-10-01", answer.Headers["openai-version"]);
        Assert.Equal(12, answer.Body.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Single(await system.Simulator.RequestsWithAsync(prompt));
        Assert.False(answer.Headers.ContainsKey("X-Session-Id"));
        Assert.Equal(sessions, (await Client.GetJsonAsync("/v1/sessions")).Text);
    }

    [Fact]
    public async Task StreamedCompletion_ArrivesWhole()
    {
        var prompt = NewPrompt();
        var whole = (await Client.PostJsonAsync(TextCompletions, $$"""{"prompt":"{{prompt}}","max_tokens":40}""")).Body.GetProperty("choices")[0].GetProperty("text").GetString();
        using var request = new HttpRequestMessage(HttpMethod.Post, TextCompletions) { Content = RunningSystem.Json($$"""{"prompt":"{{prompt}}","max_tokens":40,"stream":true}""") };
        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

        var answer = await StreamedAnswer.ReadAsync(response);

        Assert.Equal((HttpStatusCode.OK, true, null), (answer.Status, answer.IsDone, answer.Cut));
        Assert.StartsWith("text/event-stream", answer.Headers["Content-Type"], StringComparison.Ordinal);
        Assert.Equal("no", answer.Headers["X-Accel-Buffering"]);
        Assert.Equal(whole, string.Concat(answer.Data.SkipLast(1).SelectMany(data => JsonElement.Parse(data).GetProperty("choices").EnumerateArray()).Select(choice => choice.GetProperty("text").GetString())));
    }

    [Fact]
    public async Task StreamedCompletion_IsFlushedAtOnce_AndLeavingStopsTheModel()
    {
        var prompt = NewPrompt();
        var connection = await RawConnection.PostAsync(
            Client.BaseAddress!, TextCompletions, $$"""{"prompt":"{{prompt}}","max_tokens":4000,"stream":true,"simulator":{"tokens":4000,"token_ms":10} }""");

        await connection.ReadUntilAsync(body => StreamedAnswer.DataOf(body).Count() > 3);
        await system.Simulator.WaitForOutcomeAsync(prompt, "running");
        connection.Dispose();

        await system.Simulator.WaitForOutcomeAsync(prompt, "aborted", s_stopsWithin);
    }

    [Fact]
    public async Task LeavingAWholeAnswer_StopsTheModel()
    {
        var prompt = NewPrompt();
        var connection = await RawConnection.PostAsync(Client.BaseAddress!, TextCompletions, $$"""{"prompt":"{{prompt}}","simulator":{"ttft_ms":60000} }""");
        await system.Simulator.WaitForOutcomeAsync(prompt, "running");

        connection.Dispose();

        await system.Simulator.WaitForOutcomeAsync(prompt, "aborted", s_stopsWithin);
    }

    [Fact]
    public async Task Tokens_GoThereAndBack()
    {
        var tokens = await Client.PostJsonAsync("/tokenize", """{"prompt":"Größe, 你好"}""");
        var text = await Client.PostJsonAsync("/detokenize", $$"""{"tokens":{{tokens.Body.GetProperty("tokens").GetRawText()}}}""");

        Assert.Equal(tokens.Body.GetProperty("count").GetInt32(), tokens.Body.GetProperty("tokens").GetArrayLength());
        Assert.Equal("Größe, 你好", text.Body.GetProperty("prompt").GetString());
    }

    [Fact]
    public async Task RouteThatTheModelLacks_IsNamed()
    {
        // The simulator serves a model that generates: it has no reranking, as vLLM would have none.
        var answer = await Client.PostJsonAsync("/v2/rerank", """{"query":"a","documents":["b"]}""");

        Assert.Equal((HttpStatusCode.NotFound, "unknown_url"), (answer.Status, answer.ErrorCode));
        Assert.Contains("The model server has no POST /v2/rerank", answer.ErrorMessage, StringComparison.Ordinal);
        ErrorTests.AssertEnvelope(answer);
    }

    [Fact]
    public async Task Routes_AreDescribed()
    {
        var paths = (await Client.GetJsonAsync("/openapi/v1.json")).Body.GetProperty("paths");

        foreach (var route in PassThroughRoute.All)
        {
            var operation = paths.GetProperty(route.Path).GetProperty("post");
            Assert.Equal(route.Summary, operation.GetProperty("summary").GetString());
            Assert.Equal("Pass-through", operation.GetProperty("tags")[0].GetString());
        }
    }

    [Fact]
    public async Task NoModelServer_IsUnavailable()
    {
        // Port 9 (discard) has no listener.
        await using var alone = await RunningSystem.StartAsync(new Uri("http://127.0.0.1:9"));

        var answer = await alone.Client.PostJsonAsync("/v1/embeddings", """{"input":"a"}""");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "upstream_unavailable", "5"), (answer.Status, answer.ErrorCode, answer.Headers["Retry-After"]));
        ErrorTests.AssertEnvelope(answer);
    }

    private HttpClient Direct() => new() { BaseAddress = system.Running.Simulator!.Addresses[0] };
}
