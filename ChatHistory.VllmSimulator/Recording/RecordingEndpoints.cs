using System.Buffers;
using System.Text;
using System.Text.Json;

namespace ChatHistory.VllmSimulator.Recording;

/// <summary>What reached the model, in order: <c>GET /simulator/requests</c>; <c>DELETE</c> forgets it.</summary>
/// <remarks>
/// <code>
/// {"received":12,                                   since the start or the last DELETE, remembered or not
///  "data":[                                         the remembered ones, oldest first
///   {"sequence":12,"received_at":"…","path":"/v1/chat/completions",
///    "outcome":"answered",                          running | answered | aborted (the connection ended first)
///    "status":200,
///    "headers":{"authorization":"***1234",…},       those that tests ask about
///    "body":{…}}]}                                  as it came; "body_text":"…" if it is no JSON
/// </code>
/// </remarks>
internal static class RecordingEndpoints
{
    private const string Path = "/simulator/requests";

    private static readonly JsonReaderOptions s_anyDepth = new() { MaxDepth = int.MaxValue };

    public static void MapRecording(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, async (HttpContext context, RequestLog log) =>
        {
            context.Response.ContentType = "application/json";
            await context.Response.BodyWriter.WriteAsync(ToJson(log), context.RequestAborted);
        });
        routes.MapDelete(Path, (RequestLog log) =>
        {
            log.Clear();
            return TypedResults.NoContent();
        });
    }

    private static ReadOnlyMemory<byte> ToJson(RequestLog log)
    {
        var (received, requests) = log.Snapshot();
        var json = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(json);
        writer.WriteStartObject();
        writer.WriteNumber("received", received);
        writer.WriteStartArray("data");
        foreach (var request in requests)
        {
            Write(writer, request);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.Flush();
        return json.WrittenMemory;
    }

    private static void Write(Utf8JsonWriter writer, RecordedRequest request)
    {
        writer.WriteStartObject();
        writer.WriteNumber("sequence", request.Sequence);
        writer.WriteString("received_at", request.ReceivedAt);
        writer.WriteString("path", request.Path);
        writer.WriteString("outcome", request.Outcome.ToString().ToLowerInvariant());
        writer.WriteNumber("status", request.Status);
        writer.WriteStartObject("headers");
        foreach (var (name, value) in request.Headers)
        {
            writer.WriteString(name, value);
        }

        writer.WriteEndObject();
        if (IsJson(request.Body.Span))
        {
            // Raw: a number's digits, a repeated key, half a surrogate pair are what a test may be after.
            writer.WritePropertyName("body");
            writer.WriteRawValue(request.Body.Span, skipInputValidation: true);
        }
        else
        {
            writer.WriteString("body_text", Encoding.UTF8.GetString(request.Body.Span));
        }

        writer.WriteEndObject();
    }

    private static bool IsJson(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, s_anyDepth);
        try
        {
            while (reader.Read())
            {
            }

            return !body.IsEmpty;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
