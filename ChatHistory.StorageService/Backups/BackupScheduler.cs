using ChatHistory.StorageService.Database;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Backups;

/// <summary>
/// Makes a backup every <see cref="BackupOptions.Every"/>, counted from the last good one, so that restarts do not put it off. What went wrong is
/// tried again after a while.
/// </summary>
/// <remarks>The waiting is measured by a clock that never jumps, and is never longer than the interval, whatever time the last backup has.</remarks>
internal sealed partial class BackupScheduler(
    BackupFolder folder,
    BackupMaker maker,
    ReplacedDatabase replaced,
    RevokedKeys revoked,
    BackupMetrics metrics,
    DatabaseReadiness readiness,
    IOptions<BackupOptions> options,
    TimeProvider time,
    ILogger<BackupScheduler> logger) : BackgroundService
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    /// <summary>A database that has no backup yet gets one soon, but not while it still starts.</summary>
    private static readonly TimeSpan s_firstAfter = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan s_againAfter = TimeSpan.FromHours(1);

    private readonly CancellationTokenSource _stopping = new();
    private long _waitingSince;
    private TimeSpan _wait;

    /// <summary>Cancelled when the service ends; for a backup that somebody asked for.</summary>
    public CancellationToken Stopping => _stopping.Token;

    /// <summary>When the next one is due; null when none is made by itself.</summary>
    public DateTimeOffset? NextAt => options.Value.Every > TimeSpan.Zero && _waitingSince > 0 ? time.GetUtcNow() + (_wait - time.GetElapsedTime(_waitingSince)) : null;

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await base.StopAsync(cancellationToken);
        // The copy needs the writer, which stops after this service.
        (await maker.WaitForTurnAsync(cancellationToken)).Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_interval, time);
        while (readiness.NotReadyBecause is not null)
        {
            await timer.WaitForNextTickAsync(stoppingToken);
        }

        metrics.ObserveAge(() => maker.Age);
        await PrepareAsync(stoppingToken);
        WaitFor(FirstWait());
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (options.Value.Every > TimeSpan.Zero && readiness.NotReadyBecause is null && time.GetElapsedTime(_waitingSince) >= _wait)
            {
                WaitFor(await MakeAsync(stoppingToken) ? options.Value.Every : Shorter(options.Value.Every, s_againAfter));
            }
        }
    }

    /// <summary>What the last process may have left: half a backup, and a database that a restore had replaced.</summary>
    private async Task PrepareAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var turn = await maker.WaitForTurnAsync(cancellationToken);
            folder.CleanUp();
            await replaced.ListAsync(cancellationToken);
            revoked.Note();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.FolderUnusable(logger, exception, folder.Path);
        }
    }

    private async Task<bool> MakeAsync(CancellationToken cancellationToken)
    {
        try
        {
            await maker.MakeAsync(BackupManifest.Scheduled, cancellationToken);
            return true;
        }
        catch (BackupException exception)
        {
            Log.Skipped(logger, exception.Message);
            return false;
        }
    }

    private TimeSpan FirstWait()
    {
        var every = options.Value.Every;
        return maker.Age is { } age ? age > every ? TimeSpan.Zero : every - age : Shorter(every, s_firstAfter);
    }

    private void WaitFor(TimeSpan wait)
    {
        _wait = wait;
        _waitingSince = time.GetTimestamp();
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;

    public override void Dispose()
    {
        _stopping.Dispose();
        base.Dispose();
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The backup that is due was skipped, and is tried again: {Reason}")]
        public static partial void Skipped(ILogger logger, string reason);

        [LoggerMessage(LogLevel.Error, "The folder of the backups, {Folder}, cannot be used. Backup:Directory names another one.")]
        public static partial void FolderUnusable(ILogger logger, Exception exception, string folder);
    }
}
