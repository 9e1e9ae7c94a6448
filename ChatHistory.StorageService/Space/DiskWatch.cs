using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using Grpc.Core;
using Microsoft.Data.Sqlite;

namespace ChatHistory.StorageService.Space;

/// <summary>Once a second: keeps the ballast, and after a write that failed tries whether the disk takes writes again, so that nobody has to restart.</summary>
internal sealed class DiskWatch(Ballast ballast, DatabaseFile file, DatabaseWriter writer, DatabaseReadiness readiness, TimeProvider time) : BackgroundService
{
    private const string FreePages = "PRAGMA freelist_count";
    private const string PageSize = "PRAGMA page_size";

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (readiness.NotReadyBecause is not null)
            {
                continue;
            }

            ballast.Keep(FreeBytesInside);
            if (writer.Trouble == WriterTrouble.None)
            {
                continue;
            }

            try
            {
                await writer.RunAsync(new ProbeCommand(), stoppingToken);
            }
            catch (RpcException)
            {
                // Still so. The writer has logged it.
            }
        }
    }

    private long FreeBytesInside()
    {
        try
        {
            return file.Read(reader => reader.Number(FreePages) * reader.Number(PageSize)) ?? 0;
        }
        catch (Exception exception) when (exception is SqliteException or RpcException)
        {
            // It fails, or a restore has shut out whoever reads.
            return 0;
        }
    }

    /// <summary>Changes nothing, and yet is a whole commit: one page through the log, with its fsync.</summary>
    private sealed class ProbeCommand : WriteCommand
    {
        private const string SameUserVersion = "PRAGMA user_version = 0";

        public override void Execute(PreparedConnection database, string now) => database.Execute(SameUserVersion);
    }
}
