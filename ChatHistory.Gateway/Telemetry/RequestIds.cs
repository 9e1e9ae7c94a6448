namespace ChatHistory.Gateway.Telemetry;

/// <summary>
/// Headers that every answer carries: <c>x-request-id</c> (what official SDKs show as <c>request_id</c>, and what our log and the stored
/// message carry too), <c>openai-version</c> and <c>openai-processing-ms</c>.
/// </summary>
internal static class RequestIds
{
    public const string Header = "x-request-id";
    private const string ItemKey = "chathistory.request_id";

    public static string Of(HttpContext context) => (string)context.Items[ItemKey]!;

    public static WebApplication UseRequestIds(this WebApplication app)
    {
        var time = app.Services.GetRequiredService<TimeProvider>();
        app.Use((context, next) =>
        {
            var requestId = $"req_{Guid.CreateVersion7(time.GetUtcNow()):N}";
            context.Items[ItemKey] = requestId;

            var began = time.GetTimestamp();
            context.Response.OnStarting(() =>
            {
                // In OnStarting, because the error handler clears headers that were set earlier.
                var headers = context.Response.Headers;
                headers[Header] = requestId;
                headers["openai-version"] = "2020-10-01";
                headers["openai-processing-ms"] = ((long)time.GetElapsedTime(began).TotalMilliseconds).ToString(System.Globalization.CultureInfo.InvariantCulture);
                return Task.CompletedTask;
            });
            return next(context);
        });
        return app;
    }
}
