using System.Buffers;
using System.Text;
using System.Text.Json;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Relay;

/// <summary>Gathers one choice of a streamed answer from its deltas. Pure.</summary>
internal sealed class ChoiceAccumulator
{
    private readonly StringBuilder _content = new();
    private readonly StringBuilder _reasoning = new();
    private readonly StringBuilder _refusal = new();
    private readonly SortedList<int, ToolCall> _toolCalls = [];
    private MessageContent? _whole;

    public string? FinishReason { get; private set; }

    public bool IsEmpty => _whole is null && _content.Length == 0 && _reasoning.Length == 0 && _refusal.Length == 0 && _toolCalls.Count == 0;

    /// <summary>What the model generated, in the order in which it usually does.</summary>
    public string GeneratedText => string.Concat(_reasoning, _content, string.Concat(_toolCalls.Values.Select(call => call.Arguments)));

    public void Add(ChoiceWire choice)
    {
        FinishReason = choice.FinishReason ?? FinishReason;
        if (choice.Message is { ValueKind: JsonValueKind.Object } message)
        {
            _whole = WireMessage.Parse(message, "message", defaultRole: "assistant");
        }

        if (choice.Delta is not { } delta)
        {
            return;
        }

        _content.Append(delta.Content);
        // vLLM names it one or the other, depending on its version; a server that sends both sends the same text twice.
        _reasoning.Append(delta.ReasoningContent ?? delta.Reasoning);
        _refusal.Append(delta.Refusal);
        foreach (var call in delta.ToolCalls ?? [])
        {
            if (!_toolCalls.TryGetValue(call.Index, out var gathered))
            {
                _toolCalls[call.Index] = gathered = new ToolCall();
            }

            gathered.Add(call);
        }
    }

    /// <summary>A piece of text by itself, in UTF-8.</summary>
    public void Add(ReadOnlySpan<byte> text, bool isReasoning) => (isReasoning ? _reasoning : _content).Append(Encoding.UTF8.GetString(text));

    /// <summary>The message so far.</summary>
    public MessageContent ToMessage()
    {
        if (_whole is not null)
        {
            return _whole;
        }

        var message = new MessageContent { Role = "assistant", Content = _content.ToString() };
        if (_reasoning.Length > 0)
        {
            message.Reasoning = _reasoning.ToString();
        }

        if (_toolCalls.Count > 0)
        {
            message.ToolCalls = Json(writer =>
            {
                writer.WriteStartArray();
                foreach (var call in _toolCalls.Values)
                {
                    call.WriteTo(writer);
                }

                writer.WriteEndArray();
            });
        }

        if (_refusal.Length > 0)
        {
            message.Extra = Json(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("refusal", _refusal.ToString());
                writer.WriteEndObject();
            });
        }

        message.Digest = MessageDigest.Of(message);
        return message;
    }

    private static string Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            write(writer);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>A tool call arrives as id and name first, then its arguments piece by piece.</summary>
    private sealed class ToolCall
    {
        private readonly StringBuilder _arguments = new();
        private string? _id;
        private string? _type;
        private string? _name;

        public string Arguments => _arguments.ToString();

        public void Add(ToolCallWire call)
        {
            _id = call.Id ?? _id;
            _type = call.Type ?? _type;
            _name = call.Function?.Name ?? _name;
            _arguments.Append(call.Function?.Arguments);
        }

        public void WriteTo(Utf8JsonWriter writer)
        {
            writer.WriteStartObject();
            writer.WriteString("id", _id);
            writer.WriteString("type", _type ?? "function");
            writer.WriteStartObject("function");
            writer.WriteString("name", _name);
            writer.WriteString("arguments", _arguments.ToString());
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
    }
}
