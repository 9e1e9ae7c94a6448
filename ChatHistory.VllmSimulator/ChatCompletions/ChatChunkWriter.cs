using System.Buffers;
using System.Text.Json;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Streaming;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>
/// The chunks of one stream, each built in the same buffer from a head that all of them share: valid until the next one is built.
/// vLLM dumps with <c>exclude_unset</c>, so which nulls are there is part of the format:
/// <code>
/// {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null}
/// {…,"choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null,"token_ids":null}]}
/// {…,"choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}],"system_fingerprint":"…"}
/// {…,"choices":[],"usage":{…},"system_fingerprint":"…"}
/// </code>
/// </summary>
internal sealed class ChatChunkWriter
{
    private readonly ArrayBufferWriter<byte> _json = new(512);
    private readonly byte[] _head;
    private readonly byte[] _reasoningField;
    private readonly int _promptTokens;
    private readonly bool _includeUsage;
    private readonly bool _continuousUsage;

    public ChatChunkWriter(string id, long created, string model, string reasoningField, int promptTokens, bool includeUsage, bool continuousUsage)
    {
        (_promptTokens, _includeUsage, _continuousUsage) = (promptTokens, includeUsage, continuousUsage);
        _json.Write("{\"id\":"u8);
        _json.WriteString(id);
        _json.Write(",\"object\":\"chat.completion.chunk\",\"created\":"u8);
        _json.WriteNumber(created);
        _json.Write(",\"model\":"u8);
        _json.WriteString(model);
        _json.Write(",\"choices\":["u8);
        _head = _json.WrittenSpan.ToArray();
        _reasoningField = reasoningField == "reasoning" ? "{\"reasoning\":"u8.ToArray() : "{\"reasoning_content\":"u8.ToArray();
    }

    public ReadOnlyMemory<byte> Role(int choice)
    {
        Begin(choice);
        _json.Write("{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]"u8);
        Usage(0, 0);
        _json.Write(",\"prompt_token_ids\":null}"u8);
        return _json.WrittenMemory;
    }

    /// <summary>A token. The last one of an answer that is cut carries the finish reason itself.</summary>
    public ReadOnlyMemory<byte> Token(int choice, in Token token, ChatLogprobs? logprobs, string? finishReason, int completionTokens)
    {
        Begin(choice);
        Delta(token);
        return End(logprobs, finishReason, null, completionTokens);
    }

    /// <summary>The end of an answer that came to its own end.</summary>
    public ReadOnlyMemory<byte> Finish(int choice, bool isToolCall, string finishReason, string? stopReason, int completionTokens)
    {
        Begin(choice);
        _json.Write(isToolCall ? "{}"u8 : "{\"content\":\"\"}"u8);
        return End(null, finishReason, stopReason, completionTokens);
    }

    public ReadOnlyMemory<byte> FinalUsage(int completionTokens, int reasoningTokens)
    {
        _json.ResetWrittenCount();
        _json.Write(_head);
        _json.Write("],\"usage\":"u8);
        UsageInfo.Write(_json, _promptTokens, completionTokens, reasoningTokens);
        Fingerprint();
        _json.Write("}"u8);
        return _json.WrittenMemory;
    }

    private void Begin(int choice)
    {
        _json.ResetWrittenCount();
        _json.Write(_head);
        _json.Write("{\"index\":"u8);
        _json.WriteNumber(choice);
        _json.Write(",\"delta\":"u8);
    }

    private void Delta(in Token token)
    {
        switch (token.Segment.Kind)
        {
            case SegmentKind.ToolCall when token.IsHead:
                _json.Write("{\"tool_calls\":[{\"id\":"u8);
                _json.WriteString(token.Segment.ToolCallId!);
                _json.Write(",\"type\":\"function\",\"index\":"u8);
                _json.WriteNumber(token.ToolIndex);
                _json.Write(",\"function\":{\"name\":"u8);
                _json.WriteString(token.Segment.ToolName!);
                _json.Write(",\"arguments\":\"\"}}]}"u8);
                break;
            case SegmentKind.ToolCall:
                _json.Write("{\"tool_calls\":[{\"index\":"u8);
                _json.WriteNumber(token.ToolIndex);
                _json.Write(",\"function\":{\"arguments\":"u8);
                _json.WriteString(token.Text.Span);
                _json.Write("}}]}"u8);
                break;
            default:
                _json.Write(token.Segment.Kind is SegmentKind.Reasoning ? _reasoningField : "{\"content\":"u8);
                _json.WriteString(token.Text.Span);
                _json.Write("}"u8);
                break;
        }
    }

    private ReadOnlyMemory<byte> End(ChatLogprobs? logprobs, string? finishReason, string? stopReason, int completionTokens)
    {
        if (logprobs is null && finishReason is null)
        {
            _json.Write(",\"logprobs\":null,\"finish_reason\":null,\"token_ids\":null}]"u8);
        }
        else
        {
            _json.Write(",\"logprobs\":"u8);
            _json.Write(logprobs is null ? "null"u8 : JsonSerializer.SerializeToUtf8Bytes(logprobs, ChatCompletionsJsonContext.Wire.ChatLogprobs));
            _json.Write(",\"finish_reason\":"u8);
            _json.WriteStringOrNull(finishReason);
            if (finishReason is not null)
            {
                _json.Write(",\"stop_reason\":"u8);
                _json.WriteStringOrNull(stopReason);
            }

            _json.Write(",\"token_ids\":null}]"u8);
        }

        Usage(completionTokens, 0);
        if (finishReason is not null && !_includeUsage)
        {
            // Where a usage chunk follows, that one is the last and bears the fingerprint.
            Fingerprint();
        }

        _json.Write("}"u8);
        return _json.WrittenMemory;
    }

    private void Usage(int completionTokens, int reasoningTokens)
    {
        if (_continuousUsage)
        {
            _json.Write(",\"usage\":"u8);
            UsageInfo.Write(_json, _promptTokens, completionTokens, reasoningTokens);
        }
    }

    private void Fingerprint()
    {
        _json.Write(",\"system_fingerprint\":"u8);
        _json.WriteString(SimulatorApplication.Fingerprint);
    }
}
