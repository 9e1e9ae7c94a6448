using ChatHistory.Gateway.Errors;
using Microsoft.Net.Http.Headers;

namespace ChatHistory.Gateway;

/// <summary>
/// JSON is UTF-8 (RFC 8259). A body that says another charset is refused before it is read: handlers would read it by that charset, those that relay it as
/// UTF-8, and the framework fails on one that it does not know.
/// </summary>
internal static class Utf8Bodies
{
    public static WebApplication UseUtf8Bodies(this WebApplication app)
    {
        app.Use((context, next) =>
        {
            if (MediaTypeHeaderValue.TryParse(context.Request.ContentType, out var type)
                && type.Charset is { Length: > 0 } charset
                && !charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase)
                && !charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase)
                && context.Request.HasJsonContentType())
            {
                throw new OpenAIErrorException(OpenAIError.UnsupportedMediaType() with { Message = $"The body's charset is '{charset}'; JSON is taken as UTF-8 only. Send it as UTF-8, with the header Content-Type: application/json." });
            }

            return next(context);
        });
        return app;
    }
}
