using System.Net;
using System.Text;
using System.Text.Json;

namespace ChatHistory.Tests.VllmSimulator.ChatCompletions;

public sealed class ChatErrorTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    private const string Path = "/v1/chat/completions";
    private const string User = """ "messages":[{"role":"user","content":"Hi"}] """;

    [Fact]
    public async Task UnknownModel_IsNotFound()
    {
        using var response = await server.PostAsync(Path, $$"""{{{User}}, "model":"gpt-4"}""");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(
            """{"error":{"message":"The model `gpt-4` does not exist.","type":"NotFoundError","param":"model","code":404}}""",
            await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("{bad", "Bad Request", "body.1")]
    [InlineData("", "Bad Request", "body.0")]
    [InlineData("[]", "Bad Request", "body")]
    [InlineData("null", "Bad Request", "body")]
    [InlineData("{}", "Bad Request", "body.messages")]
    [InlineData("""{"messages":5}""", "Bad Request", "body.messages")]
    [InlineData("""{"messages":[null]}""", "Bad Request", "body.messages.0")]
    [InlineData("""{"messages":[{"role":"user","tool_calls":[null]}]}""", "Bad Request", "body.messages.0.tool_calls.0")]
    [InlineData("""{"messages":[{"content":"x"}]}""", "Bad Request", "body.messages.0.role")]
    [InlineData("""{"messages":[{"role":1}]}""", "Bad Request", "body.messages.0.role")]
    [InlineData("""{"messages":[{"role":"user","content":5}]}""", "Bad Request", "body.messages.0.content")]
    [InlineData("""{"messages":[{"role":"user","content":[5]}]}""", "Bad Request", "body.messages.0.content")]
    [InlineData("""{"messages":[{"role":"user","content":"\ud800"}]}""", "Bad Request", "body.messages.0.content")]
    [InlineData("""{"messages":[]}""", "BadRequestError", "messages")]
    [InlineData("""{USER,"temperature":"warm"}""", "Bad Request", "body.temperature")]
    [InlineData("""{USER,"temperature":-1}""", "BadRequestError", "temperature")]
    [InlineData("""{USER,"top_p":0}""", "BadRequestError", "top_p")]
    [InlineData("""{USER,"n":0}""", "BadRequestError", "n")]
    [InlineData("""{USER,"max_tokens":0}""", "BadRequestError", "max_tokens")]
    [InlineData("""{USER,"max_tokens":32768}""", "BadRequestError", "input_tokens")]
    [InlineData("""{USER,"stream_options":{"include_usage":true}}""", "Bad Request", "stream_options")]
    [InlineData("""{USER,"top_logprobs":2}""", "Bad Request", "top_logprobs")]
    [InlineData("""{USER,"tools":[]}""", "Bad Request", "tools")]
    [InlineData("""{USER,"tools":[null]}""", "Bad Request", "body.tools.0")]
    [InlineData("""{USER,"tools":[{"type":"function"}]}""", "Bad Request", "body.tools.0.function.name")]
    [InlineData("""{USER,"tool_choice":"required"}""", "Bad Request", "tool_choice")]
    [InlineData("""{USER,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}}}""", "Bad Request", "tool_choice")]
    [InlineData("""{USER,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"sometimes"}""", "Bad Request", "tool_choice")]
    [InlineData("""{USER,"response_format":{"type":"json_schema"}}""", "Bad Request", "response_format")]
    [InlineData("""{USER,"response_format":{"type":"yaml"}}""", "Bad Request", "body.response_format.type")]
    [InlineData("""{USER,"simulator":{"fault":"earthquake"}}""", "BadRequestError", "simulator.fault")]
    [InlineData("""{USER,"simulator":{"fautl":"reset"}}""", "Bad Request", "body.simulator.fautl")]
    [InlineData("""{USER,"simulator":{"ttft_ms":-1}}""", "BadRequestError", "simulator.ttft_ms")]
    public async Task BadRequest_IsRefusedInVllmsEnvelope(string body, string type, string param)
    {
        using var response = await server.PostAsync(Path, body.Replace("USER", User, StringComparison.Ordinal));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(member => member.Name));
        Assert.Equal((type, param, 400), (error.GetProperty("type").GetString(), error.GetProperty("param").GetString(), error.GetProperty("code").GetInt32()));
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task PromptLongerThanTheContext_IsRefusedInVllmsWords()
    {
        await using var small = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:MaxModelLen=20"));

        var error = await small.Server.PostForJsonAsync(Path, """{"messages":[{"role":"user","content":"one two three four five six seven eight nine ten eleven"}]}""");

        Assert.Equal(
            "This model's maximum context length is 20 tokens. However, you requested 0 output tokens and your prompt contains at least 22 input tokens, for a total of at least 22 tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
            error.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task AnswerWithoutALimit_EndsAtTheContext()
    {
        await using var small = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:MaxModelLen=20"));

        var completion = await small.Server.PostForJsonAsync(Path, $$"""{{{User}}}""");

        Assert.Equal("length", completion.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(20, completion.GetProperty("usage").GetProperty("total_tokens").GetInt32());
    }

    [Fact]
    public async Task OtherMediaType_IsRefused()
    {
        using var response = await server.Client.PostAsync(Path, new StringContent($$"""{{{User}}}""", Encoding.UTF8, "text/plain"));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Theory]
    [InlineData("/v1/nowhere", 404, "Not Found")]
    [InlineData(Path, 405, "Method Not Allowed")]
    public async Task UnknownRoute_GetsTheEnvelope(string path, int status, string phrase)
    {
        using var response = await server.Client.GetAsync(path);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal($$$"""{"error":{"message":"{{{phrase}}}","type":"{{{phrase}}}","param":null,"code":{{{status}}}}}""", await response.Content.ReadAsStringAsync());
    }
}
