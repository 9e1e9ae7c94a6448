using System.Text;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Responses;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace ChatHistory.Tests.Gateway.Responses;

/// <summary>What a response asks of the model server, and what it repeats of its request.</summary>
public sealed class ResponseRequestTests
{
    [Fact]
    public async Task EveryParameter_BecomesOneOfAChatCompletion()
    {
        using var request = await ReadAsync("""
            {"model":"m","input":"Hi","instructions":"Be brief.","max_output_tokens":64,"temperature":0.20,"top_p":0.9,"parallel_tool_calls":false,"user":"ada",
             "safety_identifier":"s","prompt_cache_key":"k","top_logprobs":2,"metadata":{"a":"b"},"store":true,"truncation":"auto","background":false,"service_tier":"auto",
             "include":["reasoning.encrypted_content"],"stream":true,"stream_options":{"include_obfuscation":false},"reasoning":{"effort":"low","summary":"auto"},
             "text":{"verbosity":"low","format":{"type":"json_schema","name":"city","strict":true,"schema":{"type":"object","properties":{"n":{"const":1.0}}}}},
             "tools":[{"type":"function","name":"weather","description":"d","strict":true,"parameters":{"type":"object"}},{"type":"function","name":"time","parameters":null}],
             "tool_choice":{"type":"function","name":"weather"},"top_k":20,"chat_template_kwargs":{"enable_thinking":false}}
            """);

        AssertJson(
            """
            {"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],
             "max_completion_tokens":64,"temperature":0.20,"top_p":0.9,"parallel_tool_calls":false,"user":"ada","safety_identifier":"s","prompt_cache_key":"k",
             "logprobs":true,"top_logprobs":2,"reasoning_effort":"low","verbosity":"low",
             "response_format":{"type":"json_schema","json_schema":{"name":"city","schema":{"type":"object","properties":{"n":{"const":1.0}}},"strict":true}},
             "tools":[{"type":"function","function":{"name":"weather","description":"d","parameters":{"type":"object"},"strict":true}},{"type":"function","function":{"name":"time"}}],
             "tool_choice":{"type":"function","function":{"name":"weather"}},"top_k":20,"chat_template_kwargs":{"enable_thinking":false},
             "stream":true,"stream_options":{"include_usage":true}}
            """,
            Encoding.UTF8.GetString(ChatBody.Compose(request, request.ReadInput(), stream: true).Span));
        Assert.Equal("""{"a":"b"}""", request.Metadata);
    }

    [Fact]
    public async Task TheLeastRequest_AsksForNothingMore()
    {
        using var request = await ReadAsync("""{"input":"Hi","temperature":null,"tools":[],"tool_choice":"auto","text":{"format":{"type":"text"}},"conversation":null}""");

        AssertJson("""{"messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8.GetString(ChatBody.Compose(request, request.ReadInput(), stream: false).Span));
        Assert.Equal((null, false, true, false, null, null), (request.Model, request.Stream, request.Store, request.Background, request.PreviousResponseId, request.ConversationId));
    }

    [Fact]
    public async Task AllowedTools_AreTheOnlyOnes()
    {
        using var request = await ReadAsync("""
            {"input":"Hi","tools":[{"type":"function","name":"a"},{"type":"function","name":"b"}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"b"}]}}
            """);

        AssertJson("""{"tools":[{"type":"function","function":{"name":"b"}}],"tool_choice":"required"}""", request.Chat.ToJsonString());
    }

    [Theory]
    [InlineData("\"conv_1\"", "conv_1")]
    [InlineData("{\"id\":\"conv_1\"}", "conv_1")]
    [InlineData("null", null)]
    public async Task Conversation_IsAnIdInEitherForm(string conversation, string? id)
    {
        using var request = await ReadAsync($$"""{"input":"Hi","conversation":{{conversation}}}""");

        Assert.Equal(id, request.ConversationId);
        Assert.Equal(id, (string?)request.Echo["conversation"]?["id"]);
    }

    [Theory]
    [InlineData("""{"input":"a","previous_response_id":"resp_1","conversation":"conv_1"}""", "previous_response_id", "mutually_exclusive_parameters")]
    [InlineData("""{"input":"a","background":true,"store":false}""", "background", "invalid_request")]
    [InlineData("""{"input":"a","conversation":7}""", "conversation", "invalid_request")]
    [InlineData("""{"input":"a","truncation":"middle"}""", "truncation", "invalid_request")]
    [InlineData("""{"input":"a","include":"all"}""", "include", "invalid_request")]
    [InlineData("""{"input":"a","prompt":{"id":"pmpt_1"}}""", "prompt", "invalid_request")]
    [InlineData("""{"input":"a","max_output_tokens":0}""", "max_output_tokens", "invalid_request")]
    [InlineData("""{"input":"a","max_output_tokens":"many"}""", "max_output_tokens", "invalid_request")]
    [InlineData("""{"input":"a","reasoning":"much"}""", "reasoning", "invalid_request")]
    [InlineData("""{"input":"a","text":"json"}""", "text", "invalid_request")]
    [InlineData("""{"input":"a","text":{"format":{"type":"grammar"}}}""", "text.format.type", "invalid_request")]
    [InlineData("""{"input":"a","text":{"format":{"type":"json_schema","name":"n"}}}""", "text.format.schema", "invalid_request")]
    [InlineData("""{"input":"a","tools":{}}""", "tools", "invalid_request")]
    [InlineData("""{"input":"a","tools":[{"type":"function","name":"f"},{"type":"web_search"}]}""", "tools[1].type", "unsupported_tool")]
    [InlineData("""{"input":"a","tools":[{"type":"function","function":{"name":"f"}}]}""", "tools[0].name", "invalid_request")]
    [InlineData("""{"input":"a","tool_choice":{"type":"file_search"}}""", "tool_choice.type", "invalid_request")]
    [InlineData("""{"input":"a","tool_choice":{"type":"function"}}""", "tool_choice.name", "invalid_request")]
    [InlineData("""{"input":"a","metadata":[]}""", "metadata", "invalid_request")]
    [InlineData("""{"input":"a","metadata":{"k":1}}""", "metadata", "invalid_request")]
    [InlineData("""{"input":"a","stream":"yes"}""", "stream", "invalid_request")]
    [InlineData("""{}""", "input", "missing_required_parameter")]
    [InlineData("""{"input":[]}""", "input", "invalid_request")]
    public async Task WhatCannotBeCarriedOut_IsRefusedByItsPlace(string body, string param, string code)
    {
        var error = (await Assert.ThrowsAsync<OpenAIErrorException>(async () =>
        {
            using var request = await ReadAsync(body);
            request.ReadInput();
        })).Error;

        Assert.Equal((400, param, code), (error.Status, error.Param, error.Code));
    }

    [Theory]
    [InlineData(16, 64, 512, true)]
    [InlineData(17, 64, 512, false)]
    [InlineData(1, 65, 512, false)]
    [InlineData(1, 64, 513, false)]
    public async Task Metadata_HasOpenAIsBounds(int pairs, int key, int value, bool accepted)
    {
        var metadata = new JsonObject(Enumerable.Range(0, pairs).Select(index => KeyValuePair.Create($"{index}".PadLeft(key, 'k'), (JsonNode?)new string('v', value))));
        var body = $$"""{"input":"a","metadata":{{metadata.ToJsonString()}}}""";

        if (accepted)
        {
            using var request = await ReadAsync(body);
            AssertJson(metadata.ToJsonString(), request.Metadata!);
        }
        else
        {
            await Assert.ThrowsAsync<OpenAIErrorException>(() => ReadAsync(body));
        }
    }

    [Fact]
    public async Task Echo_HasWhatTheSdksReadOfTheRequest()
    {
        using var request = await ReadAsync("""
            {"input":"Hi","instructions":"Be brief.","temperature":0.2,"tools":[{"type":"function","name":"f"}],"text":{"verbosity":"low"},"reasoning":{"effort":"low"},
             "metadata":{"a":"b"},"stream":true,"previous_response_id":"resp_1","top_k":20}
            """);

        AssertJson(
            """
            {"instructions":"Be brief.","previous_response_id":"resp_1","temperature":0.2,"tools":[{"type":"function","name":"f","parameters":null,"strict":null}],
             "text":{"verbosity":"low","format":{"type":"text"}},"reasoning":{"effort":"low","summary":null}}
            """,
            request.Echo.ToJsonString());
    }

    private static async Task<ResponseRequest> ReadAsync(string body)
    {
        await using var services = new ServiceCollection().AddOptions().BuildServiceProvider();
        var context = new DefaultHttpContext { RequestServices = services, Request = { ContentType = "application/json", Body = new MemoryStream(Encoding.UTF8.GetBytes(body)) } };
        return ResponseRequest.Of(await JsonBody.ReadAsync(context.Request, CancellationToken.None));
    }

    private static void AssertJson(string expected, string actual) => Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), actual);
}
