using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Relay;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Responses;

/// <summary>Turns the chunks of a chat completion into the events of a response.</summary>
/// <remarks>
/// <code>
/// (Begin)                               response.created, response.in_progress
/// {"delta":{"reasoning_content":"h"}}   output_item.added, content_part.added, reasoning_text.delta
/// {"delta":{"content":"Hi"}}            [done of the reasoning], output_item.added, content_part.added, output_text.delta
/// {"delta":{"tool_calls":[...]}}        [done of the text], output_item.added, function_call_arguments.delta
/// (End)                                 [done of what is open], response.completed | incomplete | failed
/// </code>
/// Pure and deterministic: the same chunks give the same events with the same numbers, so a stream is resumed by feeding its stored chunks to a new
/// writer that leaves out what the client has seen. An item is done when another begins; calls are done only at the end, which comes after the
/// commit, because a client acts on them. The objects in the last event are made of the gathered message, like those of a later GET: text that
/// comes after a call has an item of its own while it streams, and is one with the text before it in the end.
/// </remarks>
/// <param name="startingAfter">The number of the last event that the client has seen; -1 for none.</param>
internal sealed class ResponseEventWriter(ResponseHead head, IBufferWriter<byte> output, long startingAfter = -1)
{
    private readonly ChoiceAccumulator _answer = new();
    private readonly List<Item> _items = [];
    private readonly Dictionary<int, Item> _calls = [];
    private readonly ArrayBufferWriter<byte> _data = new();
    private Item? _open;
    private UsageWire? _usage;
    private string? _model;
    private long _sequence;

    /// <summary>The answer as gathered so far.</summary>
    public MessageContent Answer => _answer.ToMessage();

    public void Begin()
    {
        var response = ResponseObject.Of(head, ResponseState.Running, []);
        Write("response.created", writer => WriteNode(writer, "response", response));
        Write("response.in_progress", writer => WriteNode(writer, "response", response));
    }

    /// <summary>Feeds the data of one frame. What is no chunk changes nothing.</summary>
    public void Add(ReadOnlySpan<byte> data)
    {
        if (Read(data) is not { } chunk)
        {
            return;
        }

        _usage = chunk.Usage ?? _usage;
        _model ??= chunk.Model;
        // Other choices, where somebody asked for them, have no place in a response.
        foreach (var choice in (chunk.Choices ?? []).Where(choice => choice.Index == 0))
        {
            _answer.Add(choice);
            if (choice.Delta is { } delta)
            {
                Add(delta, choice.Logprobs);
            }
        }
    }

    /// <summary>Ends the response; call it when its turn is committed.</summary>
    /// <param name="state">How it ended; what the chunks told (usage, model, why the model stopped) comes from them.</param>
    public void End(ResponseState state)
    {
        state = state with { FinishReason = _answer.FinishReason ?? state.FinishReason, Usage = ResponseUsage.Of(_usage) ?? state.Usage, Model = _model ?? state.Model };
        var message = _answer.ToMessage();
        var itemStatus = MessageItems.Status(state.Status);
        if (_items.Count == 0 && MessageItems.Of(head.AnswerMessageId, message, state.Status).Count > 0)
        {
            // Complete, and empty.
            OpenPart(Kind.Text);
        }

        foreach (var item in _items.Where(item => !item.Done))
        {
            Close(item, itemStatus);
        }

        var response = ResponseObject.Of(head, state, MessageItems.Of(head.AnswerMessageId, message, state.Status));
        // OpenAI has no event for a response that was cancelled; what there is of it is right, but not all.
        Write(
            ResponseObject.Status(state) switch { "completed" => "response.completed", "failed" => "response.failed", _ => "response.incomplete" },
            writer => WriteNode(writer, "response", response));
    }

    private static ChatCompletionWire? Read(ReadOnlySpan<byte> data)
    {
        try
        {
            return data.IsEmpty || data.SequenceEqual("[DONE]"u8) ? null : JsonSerializer.Deserialize(data, ChatCompletionsJsonContext.Default.ChatCompletionWire);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private void Add(DeltaWire delta, JsonElement? logprobs)
    {
        if ((delta.ReasoningContent ?? delta.Reasoning) is { Length: > 0 } reasoning)
        {
            AddText(Kind.Reasoning, reasoning, null);
        }

        if (delta.Content is { Length: > 0 } text)
        {
            AddText(Kind.Text, text, logprobs);
        }

        if (delta.Refusal is { Length: > 0 } refusal)
        {
            AddText(Kind.Refusal, refusal, null);
        }

        foreach (var call in delta.ToolCalls ?? [])
        {
            AddCall(call);
        }
    }

    private void AddText(Kind kind, string delta, JsonElement? logprobs)
    {
        var item = OpenPart(kind);
        item.Text.Append(delta);
        var type = kind switch { Kind.Reasoning => "response.reasoning_text.delta", Kind.Refusal => "response.refusal.delta", _ => "response.output_text.delta" };
        Write(type, item, writer =>
        {
            writer.WriteNumber("content_index", item.Part);
            writer.WriteString("delta", delta);
            if (kind == Kind.Text)
            {
                WriteLogprobs(writer, logprobs);
            }
        });
    }

    private void AddCall(ToolCallWire call)
    {
        if (!_calls.TryGetValue(call.Index, out var item))
        {
            CloseOpen();
            item = new Item(Kind.Call, _items.Count, ItemIds.FunctionCall(head.AnswerMessageId, _calls.Count)) { CallId = call.Id, Name = call.Function?.Name };
            _items.Add(item);
            _calls.Add(call.Index, item);
            var added = MessageItems.FunctionCall(item.Id, "in_progress", item.CallId, item.Name, "");
            Write("response.output_item.added", item.Index, writer => WriteNode(writer, "item", added));
        }

        item.CallId = call.Id ?? item.CallId;
        item.Name = call.Function?.Name ?? item.Name;
        if (call.Function?.Arguments is { Length: > 0 } arguments)
        {
            item.Text.Append(arguments);
            Write("response.function_call_arguments.delta", item, writer => writer.WriteString("delta", arguments));
        }
    }

    /// <summary>The open item when it is of this kind; else a new one, behind the end of the open one.</summary>
    private Item OpenPart(Kind kind)
    {
        var open = _open;
        if (open is not null && open.Kind == kind)
        {
            return open;
        }

        // A refusal is a part of the message, behind its text.
        if (open is { Kind: Kind.Text } && kind == Kind.Refusal)
        {
            ClosePart(open);
            open.Kind = kind;
            open.Part++;
            open.Text.Clear();
        }
        else
        {
            CloseOpen();
            var id = kind == Kind.Reasoning ? ItemIds.Reasoning(head.AnswerMessageId) : ItemIds.Message(head.AnswerMessageId);
            var again = _items.Count(item => item.Kind != Kind.Call && item.Id.StartsWith(id, StringComparison.Ordinal));
            _open = open = new Item(kind, _items.Count, again == 0 ? id : string.Create(CultureInfo.InvariantCulture, $"{id}_{again}"));
            _items.Add(open);
            var added = ItemOf(open, "in_progress");
            Write("response.output_item.added", open.Index, writer => WriteNode(writer, "item", added));
        }

        var part = PartOf(kind, "");
        Write("response.content_part.added", open, writer =>
        {
            writer.WriteNumber("content_index", open.Part);
            WriteNode(writer, "part", part);
        });
        return open;
    }

    private void CloseOpen()
    {
        if (_open is not null)
        {
            Close(_open, "completed");
        }
    }

    private void Close(Item item, string status)
    {
        if (item.Kind == Kind.Call)
        {
            Write("response.function_call_arguments.done", item, writer =>
            {
                writer.WriteString("name", item.Name ?? "");
                writer.WriteString("arguments", item.Text.ToString());
            });
        }
        else
        {
            ClosePart(item);
        }

        var done = ItemOf(item, status);
        Write("response.output_item.done", item.Index, writer => WriteNode(writer, "item", done));
        item.Done = true;
        _open = _open == item ? null : _open;
    }

    private void ClosePart(Item item)
    {
        var text = item.Text.ToString();
        var part = PartOf(item.Kind, text);
        item.Parts.Add(part);
        var (type, member) = item.Kind switch
        {
            Kind.Reasoning => ("response.reasoning_text.done", "text"),
            Kind.Refusal => ("response.refusal.done", "refusal"),
            _ => ("response.output_text.done", "text"),
        };
        Write(type, item, writer =>
        {
            writer.WriteNumber("content_index", item.Part);
            writer.WriteString(member, text);
            if (item.Kind == Kind.Text)
            {
                WriteLogprobs(writer, null);
            }
        });
        Write("response.content_part.done", item, writer =>
        {
            writer.WriteNumber("content_index", item.Part);
            WriteNode(writer, "part", part);
        });
    }

    private static JsonObject ItemOf(Item item, string status)
    {
        if (item.Kind == Kind.Call)
        {
            return MessageItems.FunctionCall(item.Id, status, item.CallId, item.Name, item.Text.ToString());
        }

        var parts = new JsonArray([.. item.Parts.Select(part => part.DeepClone())]);
        return item.Kind == Kind.Reasoning ? MessageItems.Reasoning(item.Id, status, parts) : MessageItems.Message(item.Id, status, "assistant", parts);
    }

    private static JsonObject PartOf(Kind kind, string text) => kind switch
    {
        Kind.Reasoning => MessageItems.ReasoningText(text),
        Kind.Refusal => ItemContent.Refusal(text),
        _ => ItemContent.Text(text, output: true),
    };

    // {"content":[{"token":"Hi","logprob":-0.1,"bytes":[72,105],"top_logprobs":[...]}]}
    private static void WriteLogprobs(Utf8JsonWriter writer, JsonElement? logprobs)
    {
        writer.WritePropertyName("logprobs");
        if (logprobs is { ValueKind: JsonValueKind.Object } given && given.TryGetProperty("content", out var tokens) && tokens.ValueKind == JsonValueKind.Array)
        {
            tokens.WriteTo(writer);
        }
        else
        {
            writer.WriteStartArray();
            writer.WriteEndArray();
        }
    }

    private static void WriteNode(Utf8JsonWriter writer, string name, JsonNode node)
    {
        writer.WritePropertyName(name);
        node.WriteTo(writer);
    }

    private void Write(string type, Item item, Action<Utf8JsonWriter> members) => Write(type, item.Index, writer =>
    {
        writer.WriteString("item_id", item.Id);
        members(writer);
    });

    private void Write(string type, int outputIndex, Action<Utf8JsonWriter> members) => Write(type, writer =>
    {
        writer.WriteNumber("output_index", outputIndex);
        members(writer);
    });

    // event: response.output_text.delta
    // data: {"type":"response.output_text.delta","sequence_number":4,"output_index":0,"item_id":"msg_...","content_index":0,"delta":"Hi","logprobs":[]}
    private void Write(string type, Action<Utf8JsonWriter> members)
    {
        var number = _sequence++;
        if (number <= startingAfter)
        {
            return;
        }

        _data.ResetWrittenCount();
        using (var writer = new Utf8JsonWriter(_data, WireJson.Writer))
        {
            writer.WriteStartObject();
            writer.WriteString("type", type);
            writer.WriteNumber("sequence_number", number);
            members(writer);
            writer.WriteEndObject();
        }

        Encoding.UTF8.GetBytes($"event: {type}\ndata: ", output);
        output.Write(_data.WrittenSpan);
        output.Write("\n\n"u8);
    }

    private enum Kind
    {
        Reasoning,
        Text,
        Refusal,
        Call,
    }

    private sealed class Item(Kind kind, int index, string id)
    {
        public Kind Kind { get; set; } = kind;

        public int Index { get; } = index;

        public string Id { get; } = id;

        /// <summary>The index of the part that is being written.</summary>
        public int Part { get; set; }

        /// <summary>The text of that part, or the call's arguments.</summary>
        public StringBuilder Text { get; } = new();

        public List<JsonObject> Parts { get; } = [];

        public string? CallId { get; set; }

        public string? Name { get; set; }

        public bool Done { get; set; }
    }
}
