using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Errors;

namespace ChatHistory.VllmSimulator.Recording;

/// <summary>Reads the body of every POST to the model once, remembers it, and notes how the request ended.</summary>
internal static class RecordingMiddleware
{
    // What a test asks about; a key is remembered only by its end.
    private static readonly string[] s_headers =
    [
        "Accept", "Authorization", "Content-Type", "User-Agent", "traceparent", "X-Request-Id", "X-Session-Id", Directive.HeaderName, "x-stainless-retry-count",
    ];

    public static void UseRecording(this IApplicationBuilder app)
    {
        var log = app.ApplicationServices.GetRequiredService<RequestLog>();
        var time = app.ApplicationServices.GetRequiredService<TimeProvider>();
        app.Use((context, next) =>
            HttpMethods.IsPost(context.Request.Method) && context.GetEndpoint() is not null
                ? RecordAsync(context, next, log, time, context.RequestAborted)
                : next(context));
    }

    /// <summary>The recorded request of this call: its body has been read already.</summary>
    public static RecordedRequest Recorded(this HttpContext context) => context.Features.Get<RecordedRequest>() ?? throw new InvalidOperationException("The route is not recorded.");

    private static async Task RecordAsync(HttpContext context, RequestDelegate next, RequestLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        RecordedRequest? recorded = null;
        var left = false;
        try
        {
            // As vLLM's validate_json_request.
            if (!IsJson(context.Request.ContentType))
            {
                await VllmError.Invalid("value_error", "body", "Unsupported Media Type: Only application/json is allowed").WriteAsync(context);
                return;
            }

            var body = await ReadAsync(context.Request, cancellationToken);
            recorded = new RecordedRequest(time.GetUtcNow(), context.Request.Path.Value ?? "", Headers(context.Request), body);
            log.Add(recorded);
            context.Features.Set(recorded);
            await next(context);
        }
        catch (OperationCanceledException)
        {
            // The client left, which ends a generation as vLLM ends it: silently.
            left = true;
        }
        finally
        {
            if (recorded is not null)
            {
                recorded.Status = context.Response.StatusCode;
                recorded.Outcome = left || cancellationToken.IsCancellationRequested ? RecordedOutcome.Aborted : RecordedOutcome.Answered;
            }
        }
    }

    private static bool IsJson(string? contentType) =>
        contentType is not null && contentType.AsSpan().TrimStart().StartsWith("application/json", StringComparison.OrdinalIgnoreCase);

    private static async ValueTask<ReadOnlyMemory<byte>> ReadAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        // The usual case: the length is known and believable, and the body gets exactly the array that is remembered.
        if (request.ContentLength is { } length and <= 16 * 1024 * 1024)
        {
            var body = new byte[length];
            await request.Body.ReadExactlyAsync(body, cancellationToken);
            return body;
        }

        using var buffer = new MemoryStream();
        await request.Body.CopyToAsync(buffer, cancellationToken);
        return buffer.ToArray();
    }

    private static List<KeyValuePair<string, string>> Headers(HttpRequest request)
    {
        var headers = new List<KeyValuePair<string, string>>(s_headers.Length);
        foreach (var name in s_headers)
        {
            if (request.Headers.TryGetValue(name, out var value))
            {
                headers.Add(new(name.ToLowerInvariant(), name == "Authorization" ? Redacted(value.ToString()) : value.ToString()));
            }
        }

        return headers;
    }

    private static string Redacted(string authorization) => authorization.Length < 20 ? "***" : $"***{authorization[^4..]}";
}
