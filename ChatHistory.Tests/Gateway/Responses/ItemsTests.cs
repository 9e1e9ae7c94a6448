using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;
using CsCheck;

namespace ChatHistory.Tests.Gateway.Responses;

/// <summary>OpenAI's items and the messages that are stored for them.</summary>
public sealed class ItemsTests
{
    private const string Id = "0199f3a2-0000-7000-8000-000000000001";

    [Fact]
    public void AString_IsAUserMessage()
    {
        var message = Parse("\"Hello 你好\"").Single();

        Assert.Equal(("user", "Hello 你好", false), (message.Role, message.Content, message.HasContentParts));
        Assert.Equal(MessageDigest.Of(message), message.Digest);
    }

    [Theory]
    [InlineData("""{"role":"user","content":"Hi"}""")]
    [InlineData("""{"type":"message","role":"user","content":"Hi"}""")]
    [InlineData("""{"type":"message","role":"user","status":"completed","content":[{"type":"input_text","text":"Hi"}]}""")]
    [InlineData("""{"role":"user","content":[{"type":"text","text":"Hi"}]}""")]
    public void OneText_IsTheSameMessageInEveryForm(string item) =>
        Assert.Equal(new MessageContent { Role = "user", Content = "Hi" }, WithoutDigest(Parse($"[{item}]").Single()));

    [Fact]
    public void PartsWithAnImageAndAFile_BecomePartsOfChatCompletions()
    {
        var message = Parse("""
            [{"role":"user","content":[
              {"type":"input_text","text":"What is this?"},
              {"type":"input_image","image_url":"data:image/png;base64,AQID","detail":"low"},
              {"type":"input_image","image_url":"https://example.org/a.png","detail":"auto","file_id":null},
              {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AQID"}]}]
            """).Single();

        Assert.Equal("What is this?", message.Content);
        AssertJson(
            """
            [{"type":"text","text":"What is this?"},
             {"type":"image_url","image_url":{"url":"data:image/png;base64,AQID","detail":"low"}},
             {"type":"image_url","image_url":{"url":"https://example.org/a.png"}},
             {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AQID"}}]
            """,
            message.ContentParts);
        AssertJson(
            """
            [{"id":"msg_m","type":"message","status":"completed","role":"user","content":[
              {"type":"input_text","text":"What is this?"},
              {"type":"input_image","detail":"low","file_id":null,"image_url":"data:image/png;base64,AQID"},
              {"type":"input_image","detail":"auto","file_id":null,"image_url":"https://example.org/a.png"},
              {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AQID"}]}]
            """,
            ItemJson.Text(new JsonArray([.. MessageItems.Of("m", message)])));
    }

    [Fact]
    public void OneStepOfTheModel_IsOneMessage()
    {
        var messages = Parse("""
            [{"role":"user","content":"Weather and time?"},
             {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"two calls"}],"encrypted_content":null},
             {"type":"message","role":"assistant","id":"msg_1","content":[{"type":"output_text","text":"I will look.","annotations":[]}]},
             {"type":"function_call","id":"fc_1","call_id":"call_1","name":"weather","arguments":"{\"city\":\"北京\"}","status":"completed"},
             {"type":"function_call","call_id":"call_2","name":"time","arguments":"{}"},
             {"type":"function_call_output","call_id":"call_1","output":"sunny"},
             {"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"noon"}]},
             {"type":"message","role":"assistant","content":"Sunny, noon."}]
            """);

        Assert.Equal(["user", "assistant", "tool", "tool", "assistant"], messages.Select(message => message.Role));
        Assert.Equal(("I will look.", "two calls"), (messages[1].Content, messages[1].Reasoning));
        Assert.Equal(
            """[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"北京\"}"}},{"id":"call_2","type":"function","function":{"name":"time","arguments":"{}"}}]""",
            messages[1].ToolCalls);
        Assert.Equal([("call_1", "sunny"), ("call_2", "noon")], messages.Skip(2).Take(2).Select(message => (message.ToolCallId, message.Content)));
        Assert.False(messages[4].HasReasoning);
    }

    [Fact]
    public void ACallBeforeItsStepsText_IsTheSameMessage()
    {
        var message = Parse("""[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"role":"assistant","content":"Looking."},{"type":"function_call_output","call_id":"c","output":"1"}]""")[0];

        Assert.Equal(("assistant", "Looking.", true), (message.Role, message.Content, message.HasToolCalls));
    }

    [Fact]
    public void AnAnswer_IsItsReasoningItsTextAndItsCalls()
    {
        var message = new MessageContent
        {
            Role = "assistant",
            Content = "I will look.",
            Reasoning = "hm",
            ToolCalls = """[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"北京\"}"}}]""",
            Extra = """{"refusal":"not that"}""",
        };

        AssertJson(
            """
            [{"id":"rs_m","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}],"status":"incomplete"},
             {"id":"msg_m","type":"message","status":"incomplete","role":"assistant","content":[
               {"type":"output_text","annotations":[],"logprobs":[],"text":"I will look."},{"type":"refusal","refusal":"not that"}]},
             {"id":"fc_m_0","type":"function_call","status":"incomplete","arguments":"{\"city\":\"北京\"}","call_id":"call_1","name":"weather"}]
            """,
            ItemJson.Text(new JsonArray([.. MessageItems.Of("m", message, TurnStatus.Cancelled)])));
    }

    [Theory]
    [InlineData(TurnStatus.Completed, 1)]
    [InlineData(TurnStatus.InProgress, 0)]
    [InlineData(TurnStatus.Failed, 0)]
    public void AnEmptyAnswer_IsAMessageOnlyWhenItIsOne(TurnStatus status, int items) =>
        Assert.Equal(items, MessageItems.Of("m", new MessageContent { Role = "assistant" }, status).Count);

    [Theory]
    [InlineData("7", "input")]
    [InlineData("[7]", "input[0]")]
    [InlineData("[{}]", "input[0].type")]
    [InlineData("""[{"type":"web_search_call","id":"ws_1"}]""", "input[0].type")]
    [InlineData("""[{"role":"user","content":"a"},{"role":"robot","content":"b"}]""", "input[1].role")]
    [InlineData("""[{"role":"user"}]""", "input[0].content")]
    [InlineData("""[{"role":"user","content":[{"type":"hologram"}]}]""", "input[0].content[0].type")]
    [InlineData("""[{"role":"user","content":[{"type":"input_text"}]}]""", "input[0].content[0].text")]
    [InlineData("""[{"role":"user","content":[{"type":"input_image","file_id":"file-1"}]}]""", "input[0].content[0].image_url")]
    [InlineData("""[{"type":"function_call","name":"f","arguments":"{}"}]""", "input[0].call_id")]
    [InlineData("""[{"type":"function_call_output","call_id":"c"}]""", "input[0].output")]
    [InlineData("""[{"type":"item_reference","id":"msg_unknown"}]""", "input[0]")]
    public void WhatCannotBeSentToAModel_IsRefusedByItsPlace(string input, string param)
    {
        var error = Assert.Throws<OpenAIErrorException>(() => Parse(input)).Error;

        Assert.Equal(param, error.Param);
        Assert.Contains(param, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AReference_StandsForTheItemThatIsStored()
    {
        var stored = MessageItems.Of("m", new MessageContent { Role = "assistant", Content = "Hello", Reasoning = "hm" });
        var input = JsonElement.Parse("""[{"role":"user","content":"a"},{"type":"item_reference","id":"rs_m"},{"type":"item_reference","id":"msg_m"},{"role":"user","content":"b"}]""");

        Assert.Equal(["rs_m", "msg_m"], InputItems.References(input));
        var messages = InputItems.Parse(input, "input", stored.ToDictionary(item => (string)item["id"]!));
        Assert.Equal([("user", "a"), ("assistant", "Hello"), ("user", "b")], messages.Select(message => (message.Role, message.Content)));
        Assert.Equal("hm", messages[1].Reasoning);
    }

    [Fact]
    public void Ids_LeadBackToWhatTheyName()
    {
        Assert.Equal(Id, ItemIds.AnswerOf(ItemIds.Response(Id)));
        Assert.Equal(Id, ItemIds.SessionOf(ItemIds.Conversation(Id)));
        Assert.All(
            [ItemIds.Message(Id), ItemIds.Reasoning(Id), ItemIds.FunctionCall(Id, 12), ItemIds.FunctionCallOutput(Id)],
            item => Assert.Equal(Id, ItemIds.MessageOf(item)));
        Assert.All(["", "msg_", "msg", "resp_x", "fc_x", "fc__1"], id => Assert.Null(ItemIds.MessageOf(id)));
        Assert.Null(ItemIds.AnswerOf(Id));
    }

    [Fact]
    public void AnyTranscript_SentAgainAsItsItems_IsTheSameTranscript() =>
        s_transcript.Sample(transcript =>
        {
            var items = transcript.SelectMany((message, index) => MessageItems.Of($"m{index}", message)).ToArray();

            Assert.Equal(items.Length, items.Select(item => (string?)item["id"]).Distinct().Count());
            Assert.Equal(transcript.Select(WithoutDigest), Parse(ItemJson.Text(new JsonArray(items))).Select(WithoutDigest));
        });

    private static readonly Gen<string> s_text = Gen.String[Gen.OneOf(Gen.Char['a', 'e'], Gen.OneOf('"', '\\', '\n', '你', 'é', '\u2028')), 1, 8];

    private static readonly Gen<JsonNode> s_part = Gen.OneOf<JsonNode>(
        s_text.Select(text => (JsonNode)new JsonObject { ["type"] = "text", ["text"] = text }),
        Gen.Select(s_text, Gen.OneOf<string?>("low", "high", null), (url, detail) =>
        {
            var image = new JsonObject { ["url"] = url };
            if (detail is not null)
            {
                image["detail"] = detail;
            }

            return (JsonNode)new JsonObject { ["type"] = "image_url", ["image_url"] = image };
        }),
        s_text.Select(name => (JsonNode)new JsonObject { ["type"] = "file", ["file"] = new JsonObject { ["filename"] = name, ["file_data"] = "AQID" } }),
        s_text.Select(data => (JsonNode)new JsonObject { ["type"] = "input_audio", ["input_audio"] = new JsonObject { ["data"] = data, ["format"] = "wav" } }));

    // What somebody else than the model says: text, or two and more parts.
    private static readonly Gen<MessageContent> s_input = Gen.Select(
        Gen.OneOf("user", "system", "developer", "tool"), s_text, s_part.Array[2, 4], Gen.Bool, (role, text, parts, inParts) =>
        {
            var message = new MessageContent { Role = role, Content = text };
            if (inParts)
            {
                message.ContentParts = ItemJson.Text(new JsonArray(parts));
                message.Content = string.Join('\n', parts.Where(part => (string?)part["type"] == "text").Select(part => (string?)part["text"]));
            }

            if (role == "tool")
            {
                message.ToolCallId = "call_" + text;
            }

            return message;
        });

    private static readonly Gen<MessageContent> s_answer = Gen.Select(
        Gen.OneOf(s_text, Gen.Const("")), s_text, s_text.Array[0, 3], Gen.Bool, Gen.Bool, (text, more, calls, reasoned, refused) =>
        {
            var message = new MessageContent { Role = "assistant", Content = text };
            if (reasoned && (text.Length > 0 || calls.Length > 0))
            {
                message.Reasoning = more;
            }

            if (refused)
            {
                message.Extra = ItemJson.Text(new JsonObject { ["refusal"] = more });
            }

            if (calls.Length > 0)
            {
                message.ToolCalls = ItemJson.Text(new JsonArray([.. calls.Select((call, index) => (JsonNode)new JsonObject
                {
                    ["id"] = $"call_{index}",
                    ["type"] = "function",
                    ["function"] = new JsonObject { ["name"] = call, ["arguments"] = $"{{\"a\":{index}}}" },
                })]));
            }

            return message;
        });

    // Answers never follow each other: the items do not say where one ends.
    private static readonly Gen<MessageContent[]> s_transcript =
        Gen.Select(s_input, Gen.OneOf(s_answer, s_input), (first, second) => new[] { first, second }).Array[0, 5].Select(pairs => pairs.SelectMany(pair => pair).ToArray());

    private static IReadOnlyList<MessageContent> Parse(string input) => InputItems.Parse(JsonElement.Parse(input), "input");

    private static MessageContent WithoutDigest(MessageContent message) => new(message) { Digest = Google.Protobuf.ByteString.Empty };

    private static void AssertJson(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), actual);
}
