using System.Net;
using System.Text;
using ChatHistory.Gateway.Context;
using ChatHistory.Gateway.Upstream;
using ChatHistory.Storage.V1;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.VllmSimulator;
using Microsoft.Extensions.Options;

namespace ChatHistory.Tests.Gateway.Context;

/// <summary>Counts are the model server's own; and without a server that counts, a turn goes on all the same.</summary>
public sealed class TokenCounterTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    private const string Chat = """
        {"model":"chathistory-simulator","stream":true,"simulator":{"tokens":20},"messages":[{"role":"system","content":"Be brief"},{"role":"user","content":"Why is the sky blue?"}],
         "tools":[{"type":"function","function":{"name":"look_up","parameters":{"type":"object"}}}]}
        """;

    [Fact]
    public async Task Chat_HasTheTokensOfItsUsage()
    {
        var usage = (await server.PostForJsonAsync("/v1/chat/completions", Chat.Replace("\"stream\":true", "\"stream\":false", StringComparison.Ordinal))).GetProperty("usage");

        Assert.Equal(usage.GetProperty("prompt_tokens").GetInt32(), await Counter(server.Client).CountChatAsync(Encoding.UTF8.GetBytes(Chat), default));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(20)]
    public async Task AbortedAnswer_HasTheTokensThatCame(int tokens)
    {
        var chunks = await server.PostForChunksAsync("/v1/chat/completions", Chat);
        var texts = chunks.Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta")).Where(delta => delta.TryGetProperty("content", out var text) && text.GetString() is { Length: > 0 });
        var soFar = string.Concat(texts.Take(tokens).Select(delta => delta.GetProperty("content").GetString()));

        var usage = await new UsageOnAbort(Counter(server.Client)).CountAsync(Encoding.UTF8.GetBytes(Chat), soFar, default);

        Assert.Equal(tokens, usage!.Value.CompletionTokens);
        Assert.Equal(await Counter(server.Client).CountChatAsync(Encoding.UTF8.GetBytes(Chat), default), usage.Value.PromptTokens);
    }

    [Fact]
    public async Task NothingGenerated_IsNoToken() =>
        Assert.Equal(0, (await new UsageOnAbort(Counter(server.Client)).CountAsync(Encoding.UTF8.GetBytes(Chat), "", default))!.Value.CompletionTokens);

    [Fact]
    public async Task Window_IsTheModels_OrTheConfiguredOne()
    {
        Assert.Equal(32_768, await Counter(server.Client).WindowOfAsync("chathistory-simulator", default));
        Assert.Equal(32_768, await Counter(server.Client).WindowOfAsync(null, default));
        Assert.Null(await Counter(server.Client).WindowOfAsync("another", default));
        Assert.Equal(1000, await Counter(server.Client, new ContextOptions { MaxTokens = 1000 }).WindowOfAsync("another", default));
    }

    [Fact]
    public async Task Window_IsRemembered_AndAskedForAgainLater()
    {
        await using var model = await ScriptedModelServer.StartAsync();
        using var client = new HttpClient { BaseAddress = model.Address };
        var counter = Counter(client);

        model.NextBody("""{"data":[{"id":"m","max_model_len":100},{"id":"lora"},null]}""");
        Assert.Equal(100, await counter.WindowOfAsync("m", default));
        Assert.Null(await counter.WindowOfAsync("lora", default));
        server.Clock.Advance(TimeSpan.FromMinutes(6));
        model.NextBody("", status: 500);
        Assert.Equal(100, await counter.WindowOfAsync("m", default));
        server.Clock.Advance(TimeSpan.FromSeconds(11));
        model.NextBody("""{"data":[{"id":"m","max_model_len":200}]}""");
        Assert.Equal(200, await counter.WindowOfAsync("m", default));

        Assert.Equal(3, model.Requests.Count);
    }

    [Fact]
    public async Task ServerWithoutTheRoute_IsNotAskedAgainForAWhile()
    {
        await using var model = await ScriptedModelServer.StartAsync();
        using var client = new HttpClient { BaseAddress = model.Address };
        var counter = Counter(client);

        model.NextBody("""{"error":{"message":"The model `x` does not exist."}}""", status: 404);
        Assert.Null(await counter.CountTextAsync("x", "text", default));
        model.NextBody("""{"detail":"Not Found"}""", status: 404);
        Assert.Null(await counter.CountTextAsync("x", "text", default));
        Assert.Null(await counter.CountTextAsync("x", "text", default));
        Assert.Equal(2, model.Requests.Count);

        server.Clock.Advance(TimeSpan.FromMinutes(6));
        model.NextBody("""{"count":1}""");
        Assert.Equal(1, await counter.CountTextAsync("x", "text", default));
    }

    [Theory]
    [InlineData("""{"tokens":[1,2,3]}""", 200)]
    [InlineData("not json", 200)]
    [InlineData("""{"error":{"message":"boom"}}""", 500)]
    public async Task AnswerOfAnotherKind_IsNoCount(string body, int status)
    {
        await using var model = await ScriptedModelServer.StartAsync();
        using var client = new HttpClient { BaseAddress = model.Address };

        model.NextBody(body, status);
        Assert.Null(await Counter(client).CountTextAsync("m", "text", default));
    }

    [Fact]
    public async Task EstimateFarFromTheLimit_AsksForNoCount()
    {
        await using var model = await ScriptedModelServer.StartAsync();
        using var client = new HttpClient { BaseAddress = model.Address };
        MessageContent[] history = [.. Enumerable.Range(0, 40).SelectMany(_ => (MessageContent[])[new() { Role = "user", Content = "question" }, new() { Role = "assistant", Content = "answer" }])];
        var window = ContextWindow.Of(history, [new() { Role = "user", Content = "new" }]);
        var fitter = new ContextFitter(Counter(client), Options.Create(new ContextOptions()));
        Task<int> FitAsync(int? knownTokens) =>
            fitter.FitAsync(window, new PromptFacts("m", AnswerLimit: 100, PreviouslyOmitted: 4, knownTokens, NewSize: 40), _ => "{\"model\":\"m\"}"u8.ToArray(), default);

        // 80 short messages have at most some 3000 tokens, known to be 700: with a window of 1000 only the bound alone is too high.
        model.NextBody("""{"data":[{"id":"m","max_model_len":1000}]}""");
        Assert.Equal(4, await FitAsync(knownTokens: 700));
        Assert.Single(model.Requests);

        model.NextBody("""{"count":899}""");
        Assert.Equal(4, await FitAsync(knownTokens: null));
        Assert.Equal(2, model.Requests.Count);
    }

    [Fact]
    public async Task ServerThatCannotCount_IsCutByEstimate()
    {
        MessageContent[] history = [.. Enumerable.Range(0, 40).SelectMany(_ => (MessageContent[])[new() { Role = "user", Content = "question" }, new() { Role = "assistant", Content = "answer" }])];
        var window = ContextWindow.Of(history, [new() { Role = "user", Content = "new" }]);
        using var client = new HttpClient(new NotFound()) { BaseAddress = new Uri("http://model.test") };
        var fitter = new ContextFitter(Counter(client, new ContextOptions { MaxTokens = 1000 }), Options.Create(new ContextOptions()));

        var omitted = await fitter.FitAsync(window, new PromptFacts("m", AnswerLimit: 100, PreviouslyOmitted: 0, KnownTokens: 1500, NewSize: 40), _ => "{}"u8.ToArray(), default);

        var share = (double)window.SizeAt(omitted) / window.SizeAt(0);
        Assert.InRange(1500 * share, 500, 640);
    }

    private TokenCounter Counter(HttpClient client, ContextOptions? options = null)
    {
        var vllm = Options.Create(new VllmOptions());
        return new TokenCounter(new VllmClient(client, vllm, server.Clock), Options.Create(options ?? new ContextOptions()), vllm, server.Clock);
    }

    private sealed class NotFound : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(HttpStatusCode.NotFound) { Content = new StringContent("{}") });
    }
}
