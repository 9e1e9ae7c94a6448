using System.Buffers;
using System.Text.Json;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Relay;

/// <summary>How every stream of events that the gateway itself writes begins, and how one ends that failed.</summary>
internal static class EventStream
{
    public static void WriteHeaders(HttpResponse response)
    {
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        // Tells nginx in front of us not to gather frames.
        response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <summary>OpenAI's envelope as an event. It is the last one: the caller flushes, and cuts the response.</summary>
    public static void WriteError(IBufferWriter<byte> client, OpenAIError error)
    {
        client.Write("data: "u8);
        client.Write(JsonSerializer.SerializeToUtf8Bytes(error.ToEnvelope(), ErrorsJsonContext.Wire.ErrorEnvelope));
        client.Write("\n\n"u8);
    }
}
