using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;
using Grpc.Core;

namespace ChatHistory.Gateway.RateLimits;

/// <summary>
/// Stores what was used, once a second and at the end. Totals that only grow: a report that is late, lost or sent again does no harm, and no turn
/// waits for it. A process that is killed takes what it counted in its last second with it.
/// </summary>
internal sealed partial class UsageReporter(RateLimiter limiter, ApiKeysClient storage, TimeProvider time, ILogger<UsageReporter> logger) : BackgroundService
{
    private const int PerReport = 1000;
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await ReportAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The last report is StopAsync's.
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await ReportAsync(cancellationToken);
    }

    private async Task ReportAsync(CancellationToken cancellationToken)
    {
        var today = LimitAccount.DayOf(time.GetUtcNow());
        foreach (var accounts in limiter.Accounts.Chunk(PerReport))
        {
            var taken = accounts.Select(account => (Account: account, Totals: account.TakeTotals(today))).Where(entry => entry.Totals.Count > 0).ToList();
            if (taken.Count == 0)
            {
                continue;
            }

            try
            {
                var report = new ReportUsageRequest { Totals = { taken.SelectMany(entry => entry.Totals) } };
                await storage.ReportUsageAsync(report, deadline: time.Deadline(), cancellationToken: cancellationToken);
            }
            catch (Exception exception) when (exception is RpcException or OperationCanceledException)
            {
                taken.ForEach(entry => entry.Account.PutBack(entry.Totals));
                Log.NotReported(logger, exception.GetType().Name);
                return;
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "What keys used could not be stored ({Error}); it is tried again")]
        public static partial void NotReported(ILogger logger, string error);
    }
}
