using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Backups;

/// <summary>Degraded, which is still served: the last backup failed, or is twice as old as it should be.</summary>
internal sealed class BackupHealthCheck(BackupMaker maker, IOptions<BackupOptions> options) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var age = maker.Age;
        var every = options.Value.Every;
        var data = new Dictionary<string, object>();
        if (age is { } known)
        {
            data["last_good_backup_age_seconds"] = known.TotalSeconds;
        }

        var late = every > TimeSpan.Zero && age > every * 2;
        return Task.FromResult(maker.LastFailure is { } failure
            ? HealthCheckResult.Degraded(failure, data: data)
            : late ? HealthCheckResult.Degraded($"The last good backup is {age} old.", data: data) : HealthCheckResult.Healthy(data: data));
    }
}
