namespace ChatHistory.Gateway.Relay;

/// <summary>How every stream of events that the gateway itself writes begins.</summary>
internal static class EventStream
{
    public static void WriteHeaders(HttpResponse response)
    {
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        // Tells nginx in front of us not to gather frames.
        response.Headers["X-Accel-Buffering"] = "no";
    }
}
