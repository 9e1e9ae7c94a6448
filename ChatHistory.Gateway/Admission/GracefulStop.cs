using ChatHistory.Gateway.Turns;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ChatHistory.Gateway.Admission;

/// <summary>
/// The first thing on SIGTERM, while the gateway still listens: nothing new begins (503 with Retry-After, and /health says so too), and what is under
/// way gets <see cref="ShutdownGrace"/> to end. Only then is the port closed. History is served to the end.
/// </summary>
internal sealed class GracefulStop(AdmissionGate gate, ShutdownGrace grace) : IHostedLifecycleService, IHealthCheck
{
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        grace.Begin();
        await gate.CloseAsync().WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(gate.IsClosed ? HealthCheckResult.Unhealthy("stopping") : HealthCheckResult.Healthy());

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
