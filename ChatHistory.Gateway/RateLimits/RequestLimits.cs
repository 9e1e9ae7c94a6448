using ChatHistory.Gateway.Identity;

namespace ChatHistory.Gateway.RateLimits;

/// <summary>Counts each request of a key, whatever route it is for, and says on every answer how much is left.</summary>
internal static class RequestLimits
{
    public static WebApplication UseRequestLimits(this WebApplication app)
    {
        var limiter = app.Services.GetRequiredService<RateLimiter>();
        var time = app.Services.GetRequiredService<TimeProvider>();
        app.Use((context, next) =>
        {
            var caller = OwnedPaths.Covers(context.Request.Path) ? CallerIdentity.Of(context.User) : null;
            if (limiter.AccountOf(caller) is not { } account)
            {
                return next(context);
            }

            // In OnStarting, because the error handler clears headers that were set earlier, and a turn takes its tokens before that.
            context.Response.OnStarting(() =>
            {
                account.WriteHeaders(context.Response.Headers, time.GetUtcNow());
                return Task.CompletedTask;
            });
            return account.TryRequest(time.GetUtcNow(), out var wait)
                ? next(context)
                : throw RateLimitErrors.Requests(caller!.Limits.RequestsPerMinute!.Value, wait);
        });
        return app;
    }
}
