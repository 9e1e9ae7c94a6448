using System.Text.Json;

namespace ChatHistory.Tests.VllmSimulator.ChatCompletions;

public sealed class ChatToolTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    private const string Path = "/v1/chat/completions";

    private const string Tools = """
        "tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}},
                 {"type":"function","function":{"name":"get_time"}}]
        """;

    [Theory]
    [InlineData("Hello", "\"auto\"", "", "stop")]
    [InlineData("Please GET_TIME now", "\"auto\"", "get_time", "tool_calls")]
    [InlineData("get_weather and get_time", "\"auto\"", "get_weather get_time", "tool_calls")]
    [InlineData("get_weather and get_time", "\"none\"", "", "stop")]
    [InlineData("Hello", "\"required\"", "get_weather", "tool_calls")]
    [InlineData("get_time", "\"required\"", "get_time", "tool_calls")]
    [InlineData("Hello", """{"type":"function","function":{"name":"get_time"}}""", "get_time", "stop")]
    public async Task Tools_AreCalledByTheRule(string text, string choice, string called, string finishReason)
    {
        var request = $$"""{"messages":[{"role":"user","content":"{{text}}"}],"tool_choice":{{choice}},{{Tools}}""";

        var whole = (await server.PostForJsonAsync(Path, request + "}")).GetProperty("choices")[0];
        var chunks = await server.PostForChunksAsync(Path, request + ",\"stream\":true}");

        var calls = whole.GetProperty("message").TryGetProperty("tool_calls", out var list) ? list.EnumerateArray().ToArray() : [];
        Assert.Equal(called, string.Join(' ', calls.Select(call => call.GetProperty("function").GetProperty("name").GetString())));
        Assert.Equal(finishReason, whole.GetProperty("finish_reason").GetString());
        Assert.Equal(finishReason, chunks[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(calls.Select(call => call.GetRawText()), Assemble(chunks));
    }

    [Fact]
    public async Task Call_IsStreamedAsVllmStreamsIt()
    {
        var chunks = await server.PostForChunksAsync(Path, $$"""{"messages":[{"role":"user","content":"get_weather"}],"stream":true,{{Tools}}}""");

        var id = chunks[1].GetProperty("choices")[0].GetProperty("delta").GetProperty("tool_calls")[0].GetProperty("id").GetString();
        Assert.Matches("^chatcmpl-tool-[0-9a-f]{32}$", id);
        Assert.Equal(
            [
                """{"role":"assistant","content":""}""",
                $$$"""{"tool_calls":[{"id":"{{{id}}}","type":"function","index":0,"function":{"name":"get_weather","arguments":""}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"{\""}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"city"}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"\":\""}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"simula"}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"ted"}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]}""",
                "{}",
            ],
            chunks.Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta").GetRawText()));
    }

    [Fact]
    public async Task ToolResult_IsAnsweredWithText()
    {
        var completion = await server.PostForJsonAsync(Path, $$$"""
            {"messages":[{"role":"user","content":"get_weather"},
                         {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},
                         {"role":"tool","tool_call_id":"1","content":"Sunny"}],{{{Tools}}} }
            """);

        var message = completion.GetProperty("choices")[0].GetProperty("message");
        Assert.StartsWith("I am a simulated model. The tool said: “Sunny”. I read 3 messages (1 user, 1 assistant, 1 tool)", message.GetProperty("content").GetString(), StringComparison.Ordinal);
        Assert.False(message.TryGetProperty("tool_calls", out _));
    }

    [Theory]
    [InlineData("\"auto\"", null)]
    [InlineData("\"required\"", "")]
    public async Task ContentBesideACall_IsAsInVllm(string choice, string? content)
    {
        var completion = await server.PostForJsonAsync(Path, $$"""{"messages":[{"role":"user","content":"get_time"}],"tool_choice":{{choice}},{{Tools}}}""");

        Assert.Equal(content, completion.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task ParallelCalls_CanBeTurnedOff()
    {
        var completion = await server.PostForJsonAsync(Path, $$"""{"messages":[{"role":"user","content":"get_weather, get_time"}],"parallel_tool_calls":false,{{Tools}}}""");

        Assert.Equal(1, completion.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls").GetArrayLength());
    }

    private static IEnumerable<string> Assemble(JsonElement[] chunks) => chunks
        .Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta"))
        .Where(delta => delta.TryGetProperty("tool_calls", out _))
        .Select(delta => delta.GetProperty("tool_calls")[0])
        .GroupBy(call => call.GetProperty("index").GetInt32())
        .Select(call => $$$"""{"id":"{{{call.First().GetProperty("id").GetString()}}}","type":"function","function":{"name":"{{{call.First().GetProperty("function").GetProperty("name").GetString()}}}","arguments":{{{Quoted(string.Concat(call.Select(part => part.GetProperty("function").GetProperty("arguments").GetString())))}}}}}""");

    private static string Quoted(string text) => $"\"{text.Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
