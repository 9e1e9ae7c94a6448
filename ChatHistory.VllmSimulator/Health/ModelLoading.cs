using ChatHistory.VllmSimulator.Errors;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator.Health;

/// <summary>The time in which vLLM would load its model: <c>Simulator:StartupDelay</c> from the start of the process.</summary>
internal sealed class ModelLoading(IOptions<SimulatorOptions> options, TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();

    public bool IsDone => options.Value.StartupDelay <= TimeSpan.Zero || time.GetElapsedTime(_start) >= options.Value.StartupDelay;
}

/// <summary>Ready means loaded, as with vLLM.</summary>
internal sealed class ModelLoadedHealthCheck(ModelLoading loading) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(loading.IsDone ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("The model is loading."));
}

internal static class ModelLoadingMiddleware
{
    /// <summary>While the model loads nothing but the health endpoints answers. vLLM does not even listen then, which no running process can imitate.</summary>
    public static void UseModelLoading(this IApplicationBuilder app)
    {
        var loading = app.ApplicationServices.GetRequiredService<ModelLoading>();
        app.Use((context, next) =>
            loading.IsDone || context.Request.Path.Value is "/health" or "/alive"
                ? next(context)
                : VllmError.FromStatus(StatusCodes.Status503ServiceUnavailable, "The model is loading.").WriteAsync(context));
    }
}
