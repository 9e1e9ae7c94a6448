using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Responses;
using ChatHistory.Storage.V1;
using CsCheck;

namespace ChatHistory.Tests.Gateway.Responses;

/// <summary>The events of a response, made of the chunks of a chat completion.</summary>
public sealed class ResponseEventWriterTests
{
    private static readonly ResponseHead s_head = new("m", DateTimeOffset.UnixEpoch, "asked", new JsonObject { ["instructions"] = "Be brief." }, """{"a":"b"}""");

    [Fact]
    public void Text_HasTheEventsThatSdksExpect()
    {
        var events = Events(
            """{"id":"c","model":"answering","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}""",
            """{"choices":[{"index":0,"delta":{"content":"Hel"}}]}""",
            """{"choices":[{"index":0,"delta":{"content":"lo 你"},"finish_reason":null}]}""",
            """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""",
            """{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}""",
            "[DONE]");

        Assert.Equal(
            ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
             "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"],
            events.Select(Type));
        Assert.Equal("asked", (string?)events[0]["response"]!["model"]);
        AssertJson("""{"type":"response.output_text.delta","sequence_number":4,"output_index":0,"item_id":"msg_m","content_index":0,"delta":"Hel","logprobs":[]}""", events[4]);
        AssertJson("""{"type":"response.output_text.done","sequence_number":6,"output_index":0,"item_id":"msg_m","content_index":0,"text":"Hello 你","logprobs":[]}""", events[6]);

        var response = events[^1]["response"]!;
        Assert.Equal(("resp_m", "completed", "answering", "Be brief.", "b"), ((string?)response["id"], (string?)response["status"], (string?)response["model"], (string?)response["instructions"], (string?)response["metadata"]!["a"]));
        AssertJson("""{"input_tokens":7,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":9}""", response["usage"]!);
        AssertJson("""{"id":"msg_m","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hello 你"}]}""", events[8]["item"]!);
    }

    [Fact]
    public void ReasoningTextAndCalls_AreItemsInTurn()
    {
        var events = Events(
            """{"choices":[{"index":0,"delta":{"reasoning_content":"let me "}}]}""",
            """{"choices":[{"index":0,"delta":{"reasoning":"think"}}]}""",
            """{"choices":[{"index":0,"delta":{"content":"I look."}}]}""",
            """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]}}]}""",
            """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}}]}""",
            """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"北京\"}"}}]}}]}""",
            """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"time","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}""");

        Assert.Equal(
            ["created", "in_progress",
             "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done", "content_part.done", "output_item.done",
             "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done", "output_item.done",
             "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
             "output_item.added", "function_call_arguments.delta",
             "function_call_arguments.done", "output_item.done", "function_call_arguments.done", "output_item.done", "completed"],
            events.Select(data => Type(data)["response.".Length..]));
        AssertJson("""{"id":"fc_m_0","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"weather"}""", events[15]["item"]!);
        AssertJson(
            """
            [{"id":"rs_m","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"let me think"}],"status":"completed"},
             {"id":"msg_m","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"I look."}]},
             {"id":"fc_m_0","type":"function_call","status":"completed","arguments":"{\"city\":\"北京\"}","call_id":"call_1","name":"weather"},
             {"id":"fc_m_1","type":"function_call","status":"completed","arguments":"{}","call_id":"call_2","name":"time"}]
            """,
            events[^1]["response"]!["output"]!);
        AssertJson("""{"type":"response.function_call_arguments.done","sequence_number":20,"output_index":2,"item_id":"fc_m_0","name":"weather","arguments":"{\"city\":\"北京\"}"}""", events[20]);
    }

    [Fact]
    public void AnEmptyAnswer_IsAnEmptyMessage()
    {
        var events = Events("""{"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":"stop"}]}""");

        Assert.Equal(
            ["created", "in_progress", "output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done", "completed"],
            events.Select(data => Type(data)["response.".Length..]));
        Assert.Equal("", (string?)events[^1]["response"]!["output"]![0]!["content"]![0]!["text"]);
    }

    [Theory]
    [InlineData(TurnStatus.Incomplete, "length", "response.incomplete", "incomplete")]
    [InlineData(TurnStatus.Cancelled, null, "response.incomplete", "cancelled")]
    [InlineData(TurnStatus.Failed, null, "response.failed", "failed")]
    [InlineData(TurnStatus.Interrupted, null, "response.failed", "failed")]
    [InlineData(TurnStatus.Completed, "content_filter", "response.incomplete", "incomplete")]
    public void AnEarlyEnd_SaysSo(TurnStatus turn, string? finish, string type, string status)
    {
        var finished = finish is null ? "null" : $"\"{finish}\"";
        var events = Events(turn, new TurnError { Code = "boom", Message = "It broke." }, -1,
            $$"""{"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":{{finished}}}]}""", """{"error":{"message":"It broke."}}""", "not json", "null");

        Assert.Equal((type, status), (Type(events[^1]), (string?)events[^1]["response"]!["status"]));
        Assert.Equal("Hel", (string?)events[^1]["response"]!["output"]![0]!["content"]![0]!["text"]);
        if (turn == TurnStatus.Failed)
        {
            AssertJson("""{"code":"boom","message":"It broke."}""", events[^1]["response"]!["error"]!);
        }
    }

    [Fact]
    public void Logprobs_GoWithTheirText()
    {
        var events = Events("""{"choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[]}]},"finish_reason":"stop"}]}""");

        AssertJson("""[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[]}]""", events[4]["logprobs"]!);
    }

    [Fact]
    public void AnyStream_CanBeGatheredAsTheSdksDo_AndEndsAsItIsStored() =>
        Gen.Select(s_chunks, Gen.OneOf(TurnStatus.Completed, TurnStatus.Incomplete, TurnStatus.Failed, TurnStatus.Cancelled)).Sample((chunks, status) =>
        {
            var writer = new ResponseEventWriter(s_head, new ArrayBufferWriter<byte>());
            foreach (var chunk in chunks)
            {
                writer.Add(Encoding.UTF8.GetBytes(chunk));
            }

            var stored = MessageItems.Of("m", writer.Answer, status);
            var events = Events(status, null, -1, chunks);

            Assert.Equal(Enumerable.Range(0, events.Length), events.Select(data => (int)data["sequence_number"]!));
            AssertJson(ItemJson.Text(new JsonArray([.. stored])), events[^1]["response"]!["output"]!);
            Assert.Equal(1, events.Count(data => Type(data) is "response.completed" or "response.incomplete" or "response.failed"));

            // Items stand in the stored order when the model speaks in the usual one; otherwise they hold the same text, in more of them.
            var gathered = Gather(events[..^1]);
            Assert.All(gathered, item => Assert.Contains((string?)item!["status"], (string?[])["completed", MessageItems.Status(status)]));
            Assert.Equal(gathered.Count, gathered.Select(item => (string?)item!["id"]).Distinct().Count());
            foreach (var kind in (string[])["reasoning", "message"])
            {
                Assert.Equal(string.Concat(stored.Where(item => (string?)item["type"] == kind).Select(TextOf)), string.Concat(gathered.Where(item => (string?)item!["type"] == kind).Select(item => TextOf(item!))));
            }

            Assert.Equal(stored.Where(IsCall).Select(TextOf).Order(), gathered.Where(IsCall!).Select(item => TextOf(item!)).Order());
        });

    [Fact]
    public void AnyStream_IsResumedBehindAnyEvent() =>
        Gen.Select(s_chunks, Gen.Int[-1, 30]).Sample((chunks, seen) =>
        {
            var all = Events(TurnStatus.Completed, null, -1, chunks);
            var rest = Events(TurnStatus.Completed, null, seen, chunks);

            Assert.Equal(all.Skip(seen + 1).Select(data => data.ToJsonString()), rest.Select(data => data.ToJsonString()));
        });

    private static readonly Gen<string> s_text = Gen.String[Gen.OneOf(Gen.Char['a', 'e'], Gen.OneOf('"', '\n', '你')), 0, 4];

    private static readonly Gen<string[]> s_chunks = Gen.OneOf(
        s_text.Select(text => Delta(new JsonObject { ["content"] = text })),
        s_text.Select(text => Delta(new JsonObject { ["reasoning_content"] = text })),
        s_text.Select(text => Delta(new JsonObject { ["refusal"] = text })),
        Gen.Select(Gen.Int[0, 2], s_text, Gen.Bool, (index, text, begins) =>
        {
            var function = new JsonObject { ["arguments"] = text };
            var call = new JsonObject { ["index"] = index, ["function"] = function };
            if (begins)
            {
                call["id"] = $"call_{index}";
                function["name"] = $"f{index}";
            }

            return Delta(new JsonObject { ["tool_calls"] = new JsonArray(call) });
        })).Array[0, 12];

    private static string Delta(JsonObject delta) =>
        new JsonObject { ["choices"] = new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = delta }) }.ToJsonString();

    /// <summary>What openai-node's accumulateResponse does with the events, as far as they are ours.</summary>
    private static JsonArray Gather(IEnumerable<JsonNode> events)
    {
        var output = new JsonArray();
        foreach (var data in events)
        {
            var item = data["output_index"] is { } index && (int)index < output.Count ? output[(int)index] : null;
            var content = item?["content"] as JsonArray;
            var at = (int?)data["content_index"] ?? 0;
            switch (Type(data))
            {
                case "response.output_item.added":
                    Assert.Equal(output.Count, (int)data["output_index"]!);
                    output.Add(data["item"]!.DeepClone());
                    break;
                case "response.output_item.done":
                    output[(int)data["output_index"]!] = data["item"]!.DeepClone();
                    break;
                case "response.content_part.added":
                    Assert.Equal(content!.Count, at);
                    content.Add(data["part"]!.DeepClone());
                    break;
                case "response.content_part.done":
                    Assert.Equal((string?)content![at]!["type"], (string?)data["part"]!["type"]);
                    AssertJson(data["part"]!.ToJsonString(), content[at]!);
                    break;
                case "response.output_text.delta" or "response.reasoning_text.delta":
                    content![at]!["text"] = (string?)content[at]!["text"] + (string?)data["delta"];
                    break;
                case "response.refusal.delta":
                    content![at]!["refusal"] = (string?)content[at]!["refusal"] + (string?)data["delta"];
                    break;
                case "response.output_text.done" or "response.reasoning_text.done":
                    Assert.Equal((string?)content![at]!["text"], (string?)data["text"]);
                    break;
                case "response.refusal.done":
                    Assert.Equal((string?)content![at]!["refusal"], (string?)data["refusal"]);
                    break;
                case "response.function_call_arguments.delta":
                    item!["arguments"] = (string?)item["arguments"] + (string?)data["delta"];
                    break;
                case "response.function_call_arguments.done":
                    Assert.Equal((string?)item!["arguments"], (string?)data["arguments"]);
                    break;
                case "response.created" or "response.in_progress":
                    break;
                case var type:
                    Assert.Fail(type);
                    break;
            }
        }

        return output;
    }

    private static bool IsCall(JsonNode item) => (string?)item["type"] == "function_call";

    private static string TextOf(JsonNode item) => item["arguments"] is { } arguments
        ? (string)item["name"]! + (string)arguments!
        : string.Concat(((JsonArray)item["content"]!).Select(part => (string?)part!["text"]));

    private static JsonNode[] Events(params string[] chunks) => Events(TurnStatus.Completed, null, -1, chunks);

    private static JsonNode[] Events(TurnStatus status, TurnError? error, long startingAfter, params string[] chunks)
    {
        var output = new ArrayBufferWriter<byte>();
        var writer = new ResponseEventWriter(s_head, output, startingAfter);
        writer.Begin();
        foreach (var chunk in chunks)
        {
            writer.Add(Encoding.UTF8.GetBytes(chunk));
        }

        writer.End(new ResponseState(status, Error: error));
        var frames = Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n");
        Assert.Equal("", frames[^1]);
        return [.. frames[..^1].Select(frame =>
        {
            var lines = frame.Split('\n');
            var data = JsonNode.Parse(lines[1]["data: ".Length..])!;
            Assert.Equal(($"event: {Type(data)}", 2), (lines[0], lines.Length));
            return data;
        })];
    }

    private static string Type(JsonNode data) => (string)data["type"]!;

    private static void AssertJson(string expected, JsonNode actual) => Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), actual), actual.ToJsonString());
}
