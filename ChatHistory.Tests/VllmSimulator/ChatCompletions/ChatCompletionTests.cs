extern alias simulator;

using System.Text.Json;
using simulator::ChatHistory.VllmSimulator.ChatCompletions;

namespace ChatHistory.Tests.VllmSimulator.ChatCompletions;

public sealed class ChatCompletionTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    private const string Path = "/v1/chat/completions";

    [Fact]
    public async Task WholeAnswer_IsAsVllmWritesIt() => Assert.Equal(
        """{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"message":{"role":"assistant","content":"Hi “you” \"✓\" 😀\n","refusal":null,"annotations":null,"audio":null,"function_call":null,"reasoning":null},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}],"service_tier":null,"system_fingerprint":"chathistory-simulator","usage":{"prompt_tokens":11,"total_tokens":20,"completion_tokens":9,"prompt_tokens_details":null},"prompt_logprobs":null,"prompt_token_ids":null,"kv_transfer_params":null}""",
        await server.PostForTextAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"simulator":{"text":"Hi “you” \"✓\" 😀\n"}}"""));

    [Fact]
    public async Task Stream_IsAsVllmWritesIt() => Assert.Equal(
        """
        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null}

        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null,"token_ids":null}]}

        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"content":" “hi"},"logprobs":null,"finish_reason":null,"token_ids":null}]}

        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"content":"”"},"logprobs":null,"finish_reason":null,"token_ids":null}]}

        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"content":"\n\t"},"logprobs":null,"finish_reason":null,"token_ids":null}]}

        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}],"system_fingerprint":"chathistory-simulator"}

        data: [DONE]


        """,
        await server.PostForTextAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"simulator":{"text":"Hi “hi”\n\t"}}"""));

    [Fact]
    public async Task StreamCutByMaxTokens_WithUsage_IsAsVllmWritesIt() => Assert.Equal(
        """
        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null}

        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"content":"I"},"logprobs":null,"finish_reason":null,"token_ids":null}]}

        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[{"index":0,"delta":{"content":" am"},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}]}

        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"chathistory-simulator","choices":[],"usage":{"prompt_tokens":11,"total_tokens":13,"completion_tokens":2},"system_fingerprint":"chathistory-simulator"}

        data: [DONE]


        """,
        await server.PostForTextAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":2}"""));

    [Fact]
    public async Task Stream_HasTheHeadersOfStarlette()
    {
        using var response = await server.PostAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stream":true}""");

        Assert.Equal("text/event-stream; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.True(response.Headers.TransferEncodingChunked);
    }

    [Fact]
    public async Task Answer_FollowsTheRule()
    {
        var completion = await server.PostForJsonAsync(Path, """{"messages":[{"role":"system","content":"s"},{"role":"user","content":"one"},{"role":"assistant","content":"two"},{"role":"user","content":[{"type":"text","text":"three"}]}],"seed":7}""");

        List<ChatMessage> seen = [ChatMessage.Of("system", "s"), ChatMessage.Of("user", "one"), ChatMessage.Of("assistant", "two"), ChatMessage.Of("user", "three")];
        Assert.Equal(AnswerRule.Text(seen, 7), Content(completion));
        Assert.Matches("^I am a simulated model\\. You said: “three”\\. I read 4 messages \\(1 system, 2 user, 1 assistant\\), history [0-9a-f]{16}, seed 7\\.$", Content(completion));
    }

    [Fact]
    public async Task SameRequest_GetsTheSameAnswer_StreamedOrNot()
    {
        const string Messages = """ "messages":[{"role":"user","content":"Hi"}],"n":2 """;

        var first = await server.PostForTextAsync(Path, $"{{{Messages}}}");
        var second = await server.PostForTextAsync(Path, $"{{{Messages}}}");
        var chunks = await server.PostForChunksAsync(Path, $"{{{Messages},\"stream\":true}}");

        Assert.Equal(first, second);
        for (var choice = 0; choice < 2; choice++)
        {
            Assert.Equal(Content(JsonElement.Parse(first), choice), StreamedContent(chunks, choice));
        }

        Assert.NotEqual(StreamedContent(chunks, 0), StreamedContent(chunks, 1));
    }

    [Fact]
    public async Task AnotherHistory_GetsAnotherAnswer() => Assert.NotEqual(
        Content(await server.PostForJsonAsync(Path, """{"messages":[{"role":"assistant","content":"a"},{"role":"user","content":"Hi"}]}""")),
        Content(await server.PostForJsonAsync(Path, """{"messages":[{"role":"assistant","content":"b"},{"role":"user","content":"Hi"}]}""")));

    [Fact]
    public async Task LongQuestion_IsQuotedInPart()
    {
        var completion = await server.PostForJsonAsync(Path, $$"""{"messages":[{"role":"user","content":"{{new string('é', 300)}}"}]}""");

        Assert.Contains($"“{new string('é', AnswerRule.MaxQuote)}…”", Content(completion), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ContinuousUsage_IsOnEveryChunk()
    {
        var chunks = await server.PostForChunksAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"simulator":{"tokens":3}}""");

        Assert.Equal([0, 1, 2, 3, 3, 3], chunks.Select(chunk => chunk.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"include_usage":false}""")]
    [InlineData("""{"continuous_usage_stats":true}""")]
    [InlineData("null")]
    public async Task Usage_ComesOnlyWhenAskedFor(string streamOptions)
    {
        var stream = await server.PostForTextAsync(Path, $$"""{"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{{streamOptions}}}""");

        Assert.DoesNotContain("usage", stream, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Choices_AreCountedTogether()
    {
        var completion = await server.PostForJsonAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"n":3,"simulator":{"tokens":5}}""");

        Assert.Equal([0, 1, 2], completion.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.Equal("""{"prompt_tokens":11,"total_tokens":26,"completion_tokens":15,"prompt_tokens_details":null}""", completion.GetProperty("usage").GetRawText());
    }

    [Fact]
    public async Task StopSequence_IsNamed()
    {
        var completion = await server.PostForJsonAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stop":["zzz"," simulated"]}""");

        Assert.Equal("I am a", Content(completion));
        Assert.Equal(" simulated", completion.GetProperty("choices")[0].GetProperty("stop_reason").GetString());
        Assert.Equal("stop", completion.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Logprobs_AreThereWhenAskedFor()
    {
        var completion = await server.PostForJsonAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"logprobs":true,"top_logprobs":2,"simulator":{"text":"é."}}""");
        var chunks = await server.PostForChunksAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"logprobs":true,"top_logprobs":2,"stream":true,"simulator":{"text":"é."}}""");

        var whole = completion.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content");
        Assert.Equal(2, whole.GetArrayLength());
        Assert.Equal("é", whole[0].GetProperty("token").GetString());
        Assert.Equal("[195,169]", whole[0].GetProperty("bytes").GetRawText());
        Assert.Equal(2, whole[0].GetProperty("top_logprobs").GetArrayLength());
        Assert.Equal(whole[0].GetRawText(), chunks[1].GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")[0].GetRawText());
    }

    [Theory]
    [InlineData(""" "chat_template_kwargs":{"enable_thinking":true} """, "reasoning")]
    [InlineData(""" "reasoning_effort":"low" """, "reasoning")]
    [InlineData(""" "simulator":{"reasoning":true,"reasoning_field":"reasoning_content"} """, "reasoning_content")]
    public async Task Reasoning_ComesBeforeTheContent(string field, string name)
    {
        const string Expected = "The last message is “Hi”. I will answer by rule.";

        var completion = await server.PostForJsonAsync(Path, $$"""{"messages":[{"role":"user","content":"Hi"}],{{field}}}""");
        var chunks = await server.PostForChunksAsync(Path, $$"""{"messages":[{"role":"user","content":"Hi"}],"stream":true,{{field}}}""");

        Assert.Equal(Expected, completion.GetProperty("choices")[0].GetProperty("message").GetProperty(name).GetString());
        Assert.Equal(15, completion.GetProperty("usage").GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32());
        Assert.Equal(Expected, string.Concat(Deltas(chunks).Where(delta => delta.TryGetProperty(name, out _)).Select(delta => delta.GetProperty(name).GetString())));
        Assert.Equal(Content(completion), StreamedContent(chunks, 0));
    }

    [Fact]
    public async Task Reasoning_CanBeHidden()
    {
        var chunks = await server.PostForChunksAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"include_reasoning":false,"reasoning_effort":"high"}""");

        Assert.All(Deltas(chunks), delta => Assert.False(delta.TryGetProperty("reasoning", out _)));
        Assert.StartsWith("I am", StreamedContent(chunks, 0), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type":"json_object"}""", "simulated")]
    [InlineData("""{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}}}""", "answer")]
    public async Task ResponseFormat_GivesJson(string format, string member)
    {
        var completion = await server.PostForJsonAsync(Path, $$"""{"messages":[{"role":"user","content":"Hi"}],"response_format":{{format}}}""");

        Assert.True(JsonElement.Parse(Content(completion)!).TryGetProperty(member, out _));
    }

    [Fact]
    public async Task UnknownFields_AreAccepted()
    {
        var completion = await server.PostForJsonAsync(Path, $$$"""{"messages":[{"role":"developer","content":"Hi","name":"x","whatever":{}}],"session_id":5,"x":[{"y":{{{new string('[', 200)}}}{{{new string(']', 200)}}} }],"stop":null,"tools":null,"tool_choice":null,"logit_bias":{"1":2}}""");

        Assert.Equal("chat.completion", completion.GetProperty("object").GetString());
    }

    private static string? Content(JsonElement completion, int choice = 0) =>
        completion.GetProperty("choices")[choice].GetProperty("message").GetProperty("content").GetString();

    private static IEnumerable<JsonElement> Deltas(JsonElement[] chunks) =>
        chunks.Where(chunk => chunk.GetProperty("choices").GetArrayLength() > 0).Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta"));

    private static string StreamedContent(JsonElement[] chunks, int choice) => string.Concat(chunks
        .Select(chunk => chunk.GetProperty("choices")[0])
        .Where(part => part.GetProperty("index").GetInt32() == choice && part.GetProperty("delta").TryGetProperty("content", out _))
        .Select(part => part.GetProperty("delta").GetProperty("content").GetString()));
}
