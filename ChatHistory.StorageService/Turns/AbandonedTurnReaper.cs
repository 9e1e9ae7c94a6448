using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Turns;

/// <summary>Looks for abandoned turns while the service runs, so that a killed gateway leaves none in progress for ever.</summary>
internal sealed partial class AbandonedTurnReaper(
    DatabaseWriter writer, TurnLeases leases, DatabaseReadiness readiness, IOptions<TurnOptions> options, TimeProvider time, ILogger<AbandonedTurnReaper> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var abandonedAfter = options.Value.AbandonedAfter;
        using var timer = new PeriodicTimer(abandonedAfter / 4, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (readiness.NotReadyBecause is not null)
            {
                continue;
            }

            try
            {
                var interrupted = await AbandonedTurns.InterruptAsync(writer, id => leases.IsOlderThan(abandonedAfter, id), stoppingToken);
                leases.ForgetOlderThan(abandonedAfter * 2);
                if (interrupted > 0)
                {
                    Log.Interrupted(logger, interrupted, abandonedAfter.TotalSeconds);
                }
            }
            catch (RpcException exception)
            {
                Log.Failed(logger, exception);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "{Count} turns were abandoned: nobody wrote to them for {Seconds} s. They are marked as interrupted.")]
        public static partial void Interrupted(ILogger logger, int count, double seconds);

        [LoggerMessage(LogLevel.Warning, "Abandoned turns could not be marked; it is tried again.")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
