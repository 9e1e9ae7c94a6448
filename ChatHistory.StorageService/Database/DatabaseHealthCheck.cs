using ChatHistory.StorageService.Writing;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ChatHistory.StorageService.Database;

/// <summary>Healthy: the database is open, migrated and swept, and the writer runs. Degraded: reads work, but the last write failed.</summary>
internal sealed class DatabaseHealthCheck(DatabaseReadiness readiness, DatabaseWriter writer) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult((readiness.NotReadyBecause, writer) switch
        {
            ({ } because, _) => HealthCheckResult.Unhealthy(because),
            (_, { IsAlive: false }) => HealthCheckResult.Unhealthy("The writer has ended."),
            (_, { LastBatchFailed: true }) => HealthCheckResult.Degraded("The last write failed."),
            _ => HealthCheckResult.Healthy(),
        });
}
