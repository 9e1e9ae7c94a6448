using System.Buffers;
using System.Text;
using System.Text.Json;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Turns;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>Gives an answer as a chat completion: the model server's bytes, but for the usage that the client did not ask for and our <c>session_id</c>.</summary>
internal sealed class ChatAnswerWriter(HttpContext context, bool usageAsked) : IAnswerWriter
{
    private static readonly byte[] s_heartbeat = ": ping\n\n"u8.ToArray();
    private static readonly byte[] s_done = "data: [DONE]\n\n"u8.ToArray();

    private string? _sessionId;
    private bool _started;
    private bool _done;

    public void Begun(Turn turn)
    {
        _sessionId = turn.SessionId;
        TurnHeaders.Write(context.Response, turn);
    }

    public async ValueTask StartAsync()
    {
        _started = true;
        EventStream.WriteHeaders(context.Response);
        await FlushAsync();
    }

    public void Write(in ReadOnlySequence<byte> frame, ReadOnlyMemory<byte> data, ChunkKind kind)
    {
        if (kind == ChunkKind.UsageOnly && !usageAsked)
        {
            return;
        }

        _done |= kind == ChunkKind.Done;
        foreach (var segment in frame)
        {
            context.Response.BodyWriter.Write(segment.Span);
        }
    }

    public ValueTask FlushAsync() => context.FlushAsync();

    public async ValueTask HeartbeatAsync()
    {
        context.Response.BodyWriter.Write(s_heartbeat);
        await FlushAsync();
    }

    public async ValueTask EndAsync(RelayResult result, CompletionObserver observer)
    {
        if (result.Outcome is RelayOutcome.StopAsked or RelayOutcome.LimitReached)
        {
            // Whoever asked knows that there is no more; the client's library wants to see an end.
            context.Response.BodyWriter.Write(StopChunk(observer, result.Outcome == RelayOutcome.LimitReached ? "length" : "stop"));
        }

        if (!_done)
        {
            context.Response.BodyWriter.Write(s_done);
        }

        await FlushAsync();
    }

    /// <summary>The body with <c>"session_id"</c> as its last member. All other bytes stay as they came.</summary>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> body, CompletionObserver observer)
    {
        var response = context.Response;
        // Whatever follows the object's last brace is white space: the observer has read it as JSON.
        var end = _sessionId is null ? body.Length : body.Span.LastIndexOf((byte)'}');
        var tail = _sessionId is null ? [] : Encoding.UTF8.GetBytes($",\"session_id\":\"{JsonEncodedText.Encode(_sessionId)}\"}}");

        response.ContentType = "application/json";
        response.ContentLength = end + tail.Length;
        await context.SendAsync(body[..end], tail);
    }

    public async ValueTask FailAsync(OpenAIError error, CompletionObserver observer)
    {
        if (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }

        if (!_started)
        {
            await OpenAIErrors.WriteAsync(context, error);
            return;
        }

        EventStream.WriteError(context.Response.BodyWriter, error);
        await FlushAsync();
        context.Cut(error);
    }

    // {"id":"chatcmpl-…","object":"chat.completion.chunk","created":0,"model":"…","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}
    private static byte[] StopChunk(CompletionObserver observer, string finishReason)
    {
        var buffer = new ArrayBufferWriter<byte>();
        buffer.Write("data: "u8);
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            writer.WriteStartObject();
            writer.WriteString("id", observer.CompletionId);
            writer.WriteString("object", "chat.completion.chunk");
            writer.WriteNumber("created", observer.Created ?? 0);
            writer.WriteString("model", observer.Model);
            writer.WriteStartArray("choices");
            foreach (var index in observer.OpenChoices)
            {
                writer.WriteStartObject();
                writer.WriteNumber("index", index);
                writer.WriteStartObject("delta");
                writer.WriteEndObject();
                writer.WriteString("finish_reason", finishReason);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        buffer.Write("\n\n"u8);
        return buffer.WrittenSpan.ToArray();
    }
}
