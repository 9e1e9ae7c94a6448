using ChatHistory.StorageService.Writing;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ChatHistory.StorageService.Database;

/// <summary>
/// Healthy: the database is open, migrated and swept, and the writer runs. Degraded: reads work, and so will writes without a restart, when there is
/// room or the other program lets go. Unhealthy: not open, or the disk does not take writes.
/// </summary>
internal sealed class DatabaseHealthCheck(DatabaseReadiness readiness, DatabaseWriter writer) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult((readiness.NotReadyBecause, writer) switch
        {
            ({ } because, _) => HealthCheckResult.Unhealthy(because),
            (_, { IsAlive: false }) => HealthCheckResult.Unhealthy("The writer has ended."),
            (_, { Trouble: WriterTrouble.DiskFull }) => HealthCheckResult.Degraded("The disk is full: reading and deleting work. Free space on the database's volume."),
            (_, { Trouble: WriterTrouble.Locked }) => HealthCheckResult.Degraded("Another program holds the database."),
            (_, { Trouble: WriterTrouble.Disk }) => HealthCheckResult.Unhealthy("The disk did not take the last write."),
            _ => HealthCheckResult.Healthy(),
        });
}
