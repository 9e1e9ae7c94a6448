using ChatHistory.Gateway.Identity;

namespace ChatHistory.Gateway;

/// <summary>
/// Headers that keep an answer where it belongs: conversations in no cache on the way, JSON from being taken for a page, and the API reference out of
/// other sites' frames. There is no CORS: a page of another site cannot read anything here.
/// </summary>
internal static class SafeHeaders
{
    // Scalar's page has its script and style inside; it asks nobody but this server.
    private const string PagePolicy =
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    public static WebApplication UseSafeHeaders(this WebApplication app)
    {
        app.Use((context, next) =>
        {
            context.Response.OnStarting(() =>
            {
                var headers = context.Response.Headers;
                headers.XContentTypeOptions = "nosniff";
                headers["Referrer-Policy"] = "no-referrer";
                if (OwnedPaths.Covers(context.Request.Path) || context.CameInByAdminListener())
                {
                    // A stream says no-cache besides, which proxies read as: do not gather.
                    headers.CacheControl = headers.CacheControl.Count > 0 ? "no-cache, no-store" : "no-store";
                }

                if (context.Response.ContentType?.StartsWith("text/html", StringComparison.OrdinalIgnoreCase) == true)
                {
                    headers.ContentSecurityPolicy = PagePolicy;
                    headers.XFrameOptions = "DENY";
                }

                return Task.CompletedTask;
            });
            return next(context);
        });
        return app;
    }
}
