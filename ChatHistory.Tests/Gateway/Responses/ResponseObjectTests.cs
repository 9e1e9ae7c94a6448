using ChatHistory.Gateway.Responses;
using ChatHistory.Storage.V1;
using Google.Protobuf.WellKnownTypes;

namespace ChatHistory.Tests.Gateway.Responses;

/// <summary>A stored answer as OpenAI's response object.</summary>
public sealed class ResponseObjectTests
{
    private const string Id = "0199f3a2-1b80-7000-8000-000000000001";

    // Members without a question mark in openai-node's Response, but for output_text, which the SDK makes itself; then those that the others read.
    private static readonly string[] s_members =
    [
        "id", "created_at", "error", "incomplete_details", "instructions", "metadata", "model", "object", "output", "parallel_tool_calls", "temperature", "tool_choice", "tools", "top_p",
        "background", "max_output_tokens", "previous_response_id", "reasoning", "service_tier", "status", "store", "text", "truncation", "usage", "user",
    ];

    [Fact]
    public void AnAnswerOfAnyDialect_HasEveryMember()
    {
        var response = ResponseObject.Of(Answer(TurnStatus.Completed));

        Assert.All(s_members, member => Assert.True(response.ContainsKey(member), member));
        Assert.Equal(
            ("resp_" + Id, "response", "completed", 0x0199f3a21b80 / 1000, "Hello", "auto", 7, 5, 12),
            ((string?)response["id"], (string?)response["object"], (string?)response["status"], (long)response["created_at"]!, (string?)response["output"]![0]!["content"]![0]!["text"],
                (string?)response["tool_choice"], (int)response["usage"]!["input_tokens"]!, (int)response["usage"]!["output_tokens"]!, (int)response["usage"]!["total_tokens"]!));
        Assert.Equal((long)response["created_at"]! + 2, (long)response["completed_at"]!);
    }

    [Fact]
    public void WhatTheRequestSaid_IsRepeated()
    {
        var answer = Answer(TurnStatus.Completed);
        answer.Request = """{"instructions":"Be brief.","temperature":0.2,"background":true,"conversation":{"id":"conv_1"}}""";
        answer.Metadata = """{"a":"b"}""";
        var response = ResponseObject.Of(answer);

        Assert.Equal(
            ("Be brief.", 0.2, true, "conv_1", "b"),
            ((string?)response["instructions"], (double)response["temperature"]!, (bool)response["background"]!, (string?)response["conversation"]!["id"], (string?)response["metadata"]!["a"]));
    }

    [Fact]
    public void AChatCompletionsParameters_AreShownAsThoseOfAResponse()
    {
        var answer = Answer(TurnStatus.Completed);
        answer.Request = """
            {"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":{"type":"function","function":{"name":"f"}},
             "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}}
            """;

        var response = ResponseObject.Of(answer);

        Assert.Equal(
            ("""[{"name":"f","parameters":{"type":"object"},"type":"function","strict":null}]""", """{"name":"f","type":"function"}""", """{"format":{"name":"n","schema":{"type":"object"},"type":"json_schema"}}"""),
            (response["tools"]!.ToJsonString(), response["tool_choice"]!.ToJsonString(), response["text"]!.ToJsonString()));
    }

    [Theory]
    [InlineData(TurnStatus.InProgress, null, "in_progress", null, null, "in_progress")]
    [InlineData(TurnStatus.Completed, "stop", "completed", null, null, "completed")]
    [InlineData(TurnStatus.Incomplete, "length", "incomplete", "max_output_tokens", null, "incomplete")]
    [InlineData(TurnStatus.Completed, "content_filter", "incomplete", "content_filter", null, "completed")]
    [InlineData(TurnStatus.Cancelled, null, "cancelled", null, null, "incomplete")]
    [InlineData(TurnStatus.Failed, null, "failed", null, "boom", "incomplete")]
    [InlineData(TurnStatus.Interrupted, null, "failed", null, "interrupted", "incomplete")]
    public void EveryTurnStatus_HasOpenAIsWord(TurnStatus turn, string? finish, string status, string? reason, string? error, string item)
    {
        var answer = Answer(turn);
        answer.Error = new TurnError { Code = "boom", Message = "It broke." };
        answer.ClearFinishReason();
        if (finish is not null)
        {
            answer.FinishReason = finish;
        }

        var response = ResponseObject.Of(answer);

        Assert.Equal(
            (status, reason, error, item),
            ((string?)response["status"], (string?)response["incomplete_details"]?["reason"], (string?)response["error"]?["code"], (string?)response["output"]![0]!["status"]));
    }

    private static Message Answer(TurnStatus status) => new()
    {
        MessageId = Id,
        Content = new MessageContent { Role = "assistant", Content = "Hello" },
        Status = status,
        Model = "m",
        PromptTokens = 7,
        Tokens = 5,
        DurationMs = 2000,
        FinishReason = "stop",
        CreatedAt = Timestamp.FromDateTimeOffset(ResponseHead.Created(Id, default)),
    };
}
