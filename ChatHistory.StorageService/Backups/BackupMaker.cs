using ChatHistory.StorageService.Database;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Backups;

/// <summary>Makes backups, one at a time: copied, flushed, verified, listed, and only then are the oldest deleted.</summary>
internal sealed partial class BackupMaker(
    BackupFolder folder,
    LiveCopy live,
    DatabaseFile file,
    BackupMetrics metrics,
    IOptions<BackupOptions> options,
    TimeProvider time,
    ILogger<BackupMaker> logger) : IDisposable
{
    /// <summary>What may be written while the copy is made.</summary>
    private const long Headroom = 64L * 1024 * 1024;

    private readonly SemaphoreSlim _one = new(1, 1);
    private volatile string? _lastFailure;

    /// <summary>Why the last attempt failed; null when it did not.</summary>
    public string? LastFailure => _lastFailure;

    /// <summary>Since the last good backup; null when there is none.</summary>
    public TimeSpan? Age => folder.Newest() is { } newest ? Later(time.GetUtcNow() - newest.CreatedAt) : null;

    /// <summary>Keeps others from making a backup or restoring one until it is disposed.</summary>
    /// <exception cref="BackupException">Somebody else is at it.</exception>
    public IDisposable TakeTurn() => _one.Wait(0) ? new Turn(_one) : throw BackupException.Busy();

    /// <summary>Waits until nobody is at it any more.</summary>
    public async Task<IDisposable> WaitForTurnAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        return new Turn(_one);
    }

    /// <exception cref="BackupException">Refused or failed; nothing is left of it.</exception>
    public async Task<BackupManifest> MakeAsync(string reason, CancellationToken cancellationToken)
    {
        using var turn = TakeTurn();
        try
        {
            var backup = await CopyAndListAsync(reason, cancellationToken);
            _lastFailure = null;
            return backup;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            var failure = exception as BackupException ?? Translate(exception);
            _lastFailure = failure.Message;
            metrics.Ended("backup", "failed");
            Log.Failed(logger, exception, failure.Message);
            throw failure;
        }
    }

    /// <summary>Lists a file that is finished, and describes it: sound or not.</summary>
    public BackupManifest List(string finished, string name, string reason, DatabaseExamination examination)
    {
        var manifest = new BackupManifest
        {
            Name = name,
            CreatedAt = time.GetUtcNow(),
            Reason = reason,
            Size = examination.Size,
            Sha256 = examination.Sha256,
            Migration = examination.Migration,
            Rows = examination.Rows,
            Problem = examination.Problem,
        };
        folder.Publish(finished, manifest);
        return manifest;
    }

    private async Task<BackupManifest> CopyAndListAsync(string reason, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        folder.Create();
        RequireRoom(folder.Path);
        var name = folder.NewName(time.GetUtcNow());
        var temporary = folder.TemporaryOf(name);
        try
        {
            await live.WriteAsync(temporary, cancellationToken);
            DurableFile.Flush(temporary);
            var examination = await Task.Run(() => DatabaseExamination.Of(temporary, cancellationToken), cancellationToken);
            if (examination.Problem is { } problem)
            {
                throw new BackupException(
                    Grpc.Core.StatusCode.DataLoss,
                    $"The copy of the database is damaged ({problem}), so the database is too, or the disk. The older backups are kept: restore one of them.");
            }

            var manifest = List(temporary, name, reason, examination);
            Log.Made(logger, name, manifest.Size, time.GetElapsedTime(began).TotalSeconds);
            metrics.Made(time.GetElapsedTime(began));
            Rotate();
            return manifest;
        }
        finally
        {
            folder.CleanUp();
        }
    }

    private void Rotate()
    {
        try
        {
            var deleted = folder.Rotate(options.Value.Keep);
            if (deleted.Count > 0)
            {
                Log.Rotated(logger, string.Join(", ", deleted));
            }
        }
        catch (IOException exception)
        {
            // The new one is good. What is too old is deleted next time.
            Log.NotRotated(logger, exception);
        }
    }

    public void Dispose() => _one.Dispose();

    /// <exception cref="BackupException">The file would not fit.</exception>
    private void RequireRoom(string directory)
    {
        var log = new FileInfo(file.WalPath);
        BackupException.ThrowIfNoRoom(directory, new FileInfo(file.Path).Length + (log.Exists ? log.Length : 0) + Headroom);
    }

    private BackupException Translate(Exception exception) => exception switch
    {
        Grpc.Core.RpcException { StatusCode: var code, Status.Detail: var detail } => new BackupException(code, detail, exception),
        SqliteException { SqliteErrorCode: 13 } => new BackupException(
            Grpc.Core.StatusCode.ResourceExhausted, $"The disk of {folder.Path} is full: no backup was made. Free some room, or set Backup:Directory to another disk.", exception),
        _ => new BackupException(
            Grpc.Core.StatusCode.Internal, $"No backup could be made in {folder.Path}: {exception.Message}", exception),
    };

    // A clock that was set back: the backup was made just now, as far as anybody can tell.
    private static TimeSpan Later(TimeSpan age) => age < TimeSpan.Zero ? TimeSpan.Zero : age;

    private sealed class Turn(SemaphoreSlim one) : IDisposable
    {
        private int _over;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _over, 1) == 0)
            {
                one.Release();
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Backup {Name} is made and verified: {Bytes} bytes in {Seconds:0.0} s.")]
        public static partial void Made(ILogger logger, string name, long bytes, double seconds);

        [LoggerMessage(LogLevel.Information, "Deleted what Backup:Keep does not keep: {Names}.")]
        public static partial void Rotated(ILogger logger, string names);

        [LoggerMessage(LogLevel.Warning, "Old backups could not be deleted.")]
        public static partial void NotRotated(ILogger logger, Exception exception);

        [LoggerMessage(LogLevel.Error, "No backup was made: {Reason}")]
        public static partial void Failed(ILogger logger, Exception exception, string reason);
    }
}
