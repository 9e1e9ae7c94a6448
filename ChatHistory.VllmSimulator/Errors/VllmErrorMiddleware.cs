using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator.Errors;

/// <summary>Errors that no endpoint writes: unknown routes, wrong methods, a missing key.</summary>
internal static class VllmErrorMiddleware
{
    /// <summary>Gives bodyless 404 and 405 answers vLLM's envelope.</summary>
    public static void UseVllmErrors(this IApplicationBuilder app) =>
        app.Use(async (context, next) =>
        {
            await next(context);
            if (context.Response is { HasStarted: false, ContentType: null, StatusCode: StatusCodes.Status404NotFound or StatusCodes.Status405MethodNotAllowed } response)
            {
                await VllmError.FromStatus(response.StatusCode).WriteAsync(context);
            }
        });

    /// <summary>vLLM's <c>--api-key</c>: it guards <c>/v1</c> and nothing else.</summary>
    public static void UseApiKey(this IApplicationBuilder app)
    {
        if (app.ApplicationServices.GetRequiredService<IOptions<SimulatorOptions>>().Value.ApiKey is not { Length: > 0 } key)
        {
            return;
        }

        var expected = Encoding.UTF8.GetBytes($"Bearer {key}");
        app.Use((context, next) =>
            context.Request.Path.StartsWithSegments("/v1", StringComparison.Ordinal)
            && !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(context.Request.Headers.Authorization.ToString()), expected)
                ? VllmError.Unauthorized.WriteAsync(context)
                : next(context));
    }
}
