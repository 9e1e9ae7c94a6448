namespace ChatHistory.Tests.VllmSimulator.Completions;

public sealed class CompletionTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    private const string Path = "/v1/completions";

    [Fact]
    public async Task WholeAnswer_IsAsVllmWritesIt() => Assert.Equal(
        """{"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"text":" and so on, said the simulated model after 2 tokens, seed 0","logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null,"prompt_logprobs":null,"prompt_token_ids":null}],"service_tier":null,"system_fingerprint":"chathistory-simulator","usage":{"prompt_tokens":2,"total_tokens":18,"completion_tokens":16,"prompt_tokens_details":null},"kv_transfer_params":null}""",
        await server.PostForTextAsync(Path, """{"prompt":"Once up"}"""));

    [Fact]
    public async Task Stream_IsAsVllmWritesIt() => Assert.Equal(
        """
        data: {"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"text":"Once and","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}

        data: {"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"chathistory-simulator","choices":[{"index":1,"text":"Once and","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}

        data: {"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"text":" so","logprobs":null,"finish_reason":"length","stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}

        data: {"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"chathistory-simulator","choices":[{"index":1,"text":" so","logprobs":null,"finish_reason":"length","stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}

        data: {"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"chathistory-simulator","choices":[],"usage":{"prompt_tokens":1,"total_tokens":5,"completion_tokens":4},"system_fingerprint":"chathistory-simulator"}

        data: [DONE]


        """,
        await server.PostForTextAsync(Path, """{"prompt":"Once","n":2,"echo":true,"max_tokens":2,"stream":true,"stream_options":{"include_usage":true}}"""));

    [Theory]
    [InlineData("\"ab\"", 1)]
    [InlineData("[\"ab\",\"cd\"]", 2)]
    [InlineData("[98,99]", 1)]
    [InlineData("[[98],[99]]", 2)]
    public async Task Prompts_ComeInFourForms(string prompt, int choices)
    {
        var completion = await server.PostForJsonAsync(Path, $$"""{"prompt":{{prompt}},"logprobs":2}""");

        Assert.Equal(choices, completion.GetProperty("choices").GetArrayLength());
        Assert.Equal(16, completion.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("tokens").GetArrayLength());
    }

    [Theory]
    [InlineData("{}", "body.prompt")]
    [InlineData("""{"prompt":null}""", "body.prompt")]
    [InlineData("""{"prompt":[]}""", "prompt")]
    [InlineData("""{"prompt":[-1]}""", "body.prompt")]
    [InlineData("""{"prompt":"a","model":"other"}""", "model")]
    [InlineData("""{"prompt":"a","max_tokens":0}""", "max_tokens")]
    [InlineData("""{"prompt":"a","max_tokens":100000}""", "input_tokens")]
    [InlineData("""{"prompt":"\ud800"}""", "body.prompt")]
    public async Task BadRequest_IsRefused(string body, string param) =>
        Assert.Equal(param, (await server.PostForJsonAsync(Path, body)).GetProperty("error").GetProperty("param").GetString());

    [Fact]
    public async Task Faults_WorkHereToo()
    {
        var stream = await server.PostForTextAsync(Path, """{"prompt":"a","stream":true,"simulator":{"fault":"error-chunk","fault_after":2}}""");

        Assert.EndsWith("data: {\"error\":{\"message\":\"Internal server error\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}\n\ndata: [DONE]\n\n", stream, StringComparison.Ordinal);
        Assert.Equal(4, stream.Split("\n\n").Length - 1);
    }
}
