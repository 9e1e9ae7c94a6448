namespace ChatHistory.Tests.VllmSimulator.Tokenizer;

public sealed class TokenizerEndpointsTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    [Fact]
    public async Task Prompt_IsTokenized() => Assert.Equal(
        """{"count":3,"max_model_len":32768,"tokens":[98,65826,14],"token_strs":["a"," b","."]}""".Replace("[98,65826,14]", $"[{'a' + 1},{' ' + 1 + (257 * ('b' + 1))},{'.' + 1}]", StringComparison.Ordinal),
        await server.PostForTextAsync("/tokenize", """{"prompt":"a b.","return_token_strs":true}"""));

    [Fact]
    public async Task Ids_AreDetokenized() => Assert.Equal(
        """{"prompt":"a."}""",
        await server.PostForTextAsync("/detokenize", """{"tokens":[98,47]}"""));

    [Fact]
    public async Task Messages_CountAsTheUsageSays()
    {
        const string Messages = """[{"role":"system","content":"Be short."},{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:,"}}]}]""";

        var tokenized = await server.PostForJsonAsync("/tokenize", $$"""{"messages":{{Messages}}}""");
        var completion = await server.PostForJsonAsync("/v1/chat/completions", $$"""{"messages":{{Messages}}}""");

        Assert.Equal(tokenized.GetProperty("count").GetInt32(), completion.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(tokenized.GetProperty("count").GetInt32(), tokenized.GetProperty("tokens").GetArrayLength());
    }

    [Theory]
    [InlineData("/tokenize", "{}", "body.prompt")]
    [InlineData("/detokenize", "{}", "body.tokens")]
    [InlineData("/detokenize", """{"tokens":[0]}""", "tokens")]
    public async Task BadRequest_IsRefused(string path, string body, string param)
    {
        var error = await server.PostForJsonAsync(path, body);

        Assert.Equal(param, error.GetProperty("error").GetProperty("param").GetString());
    }
}
