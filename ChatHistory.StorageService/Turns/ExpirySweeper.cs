using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Turns;

/// <summary>Removes what is kept for a time only: frames of streamed answers, idempotency keys, and what was used on days long past.</summary>
internal sealed partial class ExpirySweeper(
    DatabaseWriter writer, DatabaseReadiness readiness, IOptions<TurnOptions> options, TimeProvider time, ILogger<ExpirySweeper> logger) : BackgroundService
{
    /// <summary>Small transactions: turns wait in the same line.</summary>
    private const int PerTransaction = 500;

    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(10);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (readiness.NotReadyBecause is not null)
            {
                continue;
            }

            try
            {
                SweepCommand sweep;
                do
                {
                    sweep = new SweepCommand(options.Value);
                    await writer.RunAsync(sweep, stoppingToken);
                }
                while (sweep.Removed >= PerTransaction);
            }
            catch (RpcException exception)
            {
                Log.Failed(logger, exception);
            }
        }
    }

    private sealed class SweepCommand(TurnOptions options) : WriteCommand
    {
        // Message ids of answers are UUIDv7: their text sorts by time. By the gateway's time: where the clocks differ, an answer may look old
        // that is still being given.
        private const string SweepFrames =
            """
            DELETE FROM frames WHERE rowid IN (
                SELECT rowid FROM frames
                WHERE message_id < ?1 AND message_id NOT IN (SELECT message_id FROM messages WHERE status = 'in_progress') LIMIT ?2)
            """;

        private const string SweepKeys =
            "DELETE FROM idempotency_keys WHERE rowid IN (SELECT rowid FROM idempotency_keys WHERE created_at < ?1 LIMIT ?2)";

        private const string SweepUsage =
            "DELETE FROM usage WHERE rowid IN (SELECT rowid FROM usage WHERE day < ?1 LIMIT ?2)";

        // A year to look back on, and the month that is under way.
        private static readonly TimeSpan s_usageKept = TimeSpan.FromDays(400);

        public int Removed { get; private set; }

        public override bool MayUseBallast => true;

        public override void Execute(PreparedConnection database, string now)
        {
            var framesBefore = Guid.CreateVersion7(UtcText.Parse(now) - options.FramesKept).ToString();
            Removed = database.Execute(SweepFrames, framesBefore, PerTransaction)
                + database.Execute(SweepKeys, UtcText.Of(UtcText.Parse(now) - options.IdempotencyKeysKept), PerTransaction)
                + database.Execute(SweepUsage, UtcText.Of(UtcText.Parse(now) - s_usageKept)[..10], PerTransaction);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Expired frames and keys could not be removed; it is tried again.")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
