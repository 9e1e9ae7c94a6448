using System.Diagnostics;
using ChatHistory.ServiceDefaults;
using ChatHistory.StorageService.Backups;
using ChatHistory.StorageService.Sessions;
using ChatHistory.StorageService.Space;
using ChatHistory.StorageService.Turns;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ChatHistory.StorageService.Database;

/// <summary>Opens the database at start and closes it at the end.</summary>
/// <remarks>
/// Start: (1) take the file's lock, end a restore that was cut off, and give up the ballast if the disk is full, (2) open the writer's connection with
/// its settings, (3) migrate, behind a copy, (4) start the writer,
/// (5) mark the turns that the last process left in progress as interrupted, (6) serve, (7) read for a first time, before somebody waits for it, and give back what only the start needed.
/// End: (8) refuse new calls, (9) drain the writer, (10) empty the write-ahead log into the database, (11) release the lock.
/// Nothing here reads the tables through, so that a start takes as long with one gigabyte as with none.
/// </remarks>
internal sealed partial class DatabaseInitializer(
    DatabaseFile file,
    DatabaseWriter writer,
    DatabaseReadiness readiness,
    WalCheckpointer checkpointer,
    Ballast ballast,
    MigrationCopy copies,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<DatabaseInitializer> logger) : BackgroundService
{
    private DatabaseLock? _lock;
    private bool _wasOpened;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await InitializeAsync(stoppingToken);
        }
        catch (Exception exception) when (SentenceOf(exception) is { } sentence)
        {
            Log.CannotStart(logger, sentence);
            EndTheService();
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            Log.InitializationFailed(logger, exception, file.Path);
            EndTheService();
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // :: Step 8: Kestrel has stopped before us; what still comes is told to come again.
        readiness.NotReady("The storage service is stopping.");
        await base.StopAsync(cancellationToken);
        // :: Step 9
        await writer.StopAsync();
        // :: Step 10: the readers first, because only the last connection removes the log, and it must be one that can write.
        file.Dispose();
        if (_wasOpened)
        {
            checkpointer.EmptyLog();
        }

        // :: Step 11
        _lock?.Dispose();
        _lock = null;
    }

    /// <summary>What the operator has to mend: a stack trace would hide how. Null for what is no such thing.</summary>
    private string? SentenceOf(Exception exception) => exception switch
    {
        DatabaseStartException refused => refused.Message,
        // "SQLite Error 26: 'file is not a database'."
        SqliteException { SqliteErrorCode: raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB } damaged =>
            $"The database {file.Path} is damaged or is no database: {damaged.Message} Restore a backup with --restore latest; what it replaces is kept.",
        _ => null,
    };

    private void EndTheService()
    {
        readiness.NotReady("The storage service could not open its database.");
        Environment.ExitCode = 1;
        lifetime.StopApplication();
    }

    private async Task InitializeAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        using var activity = StorageTelemetry.Source.StartActivity("storage initialize", ActivityKind.Internal);
        // :: Step 1
        _lock = DatabaseLock.Take(file.Path);
        if (new DatabaseSwap(file.Path).Settle())
        {
            Log.RestoreEnded(logger, file.Path);
        }

        ballast.Adopt();
        // :: Step 2: before the migration, because only an empty file takes its page size.
        file.KeepFromOthers();
        var connection = file.OpenWriter();
        _wasOpened = true;
        // :: Step 3
        var migrations = await DatabaseMigrator.ApplyAsync(file.MigrationConnectionString, cancellationToken, copies.Make);
        if (migrations.Count > 0)
        {
            Log.Migrated(logger, migrations.Count, migrations[^1]);
        }

        // :: Step 4
        writer.Start(connection);
        // :: Step 5
        var interrupted = await InterruptTurnsAsync(cancellationToken);
        // :: Step 6
        readiness.Ready();
        Log.Ready(logger, file.Path, time.GetElapsedTime(started).TotalMilliseconds, interrupted);
        // :: Step 7
        WarmUp();
        ServiceRun.GiveBackMemory();
    }

    /// <summary>The service serves already, and what may happen to any read may happen to this one: a restore shuts it out, a disk fails. That ends nothing; a database that turns out to be damaged does.</summary>
    private void WarmUp()
    {
        try
        {
            file.Read(reader => Session.Find(reader, "", UserScope.Everyone));
            copies.RemoveOld();
        }
        catch (Exception exception) when (SentenceOf(exception) is null)
        {
            Log.NotWarm(logger, exception);
        }
    }

    private async Task<int> InterruptTurnsAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await AbandonedTurns.InterruptAsync(writer, isAbandoned: null, cancellationToken);
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.FailedPrecondition)
        {
            // What is stored can be read; the reaper marks them when there is room.
            Log.DiskIsFull(logger, file.Path);
            return 0;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "A restore had been cut off after its decisive step. It is ended now: {Path} is the restored database.")]
        public static partial void RestoreEnded(ILogger logger, string path);

        [LoggerMessage(LogLevel.Information, "Database {Path} is open after {Milliseconds:0} ms; {Interrupted} turns had been interrupted.")]
        public static partial void Ready(ILogger logger, string path, double milliseconds, int interrupted);

        [LoggerMessage(LogLevel.Error, "The disk of {Path} is full: what is stored can be read, and nothing new is taken. Free space.")]
        public static partial void DiskIsFull(ILogger logger, string path);

        [LoggerMessage(LogLevel.Information, "Applied {Count} migrations, up to {Last}.")]
        public static partial void Migrated(ILogger logger, int count, string last);

        [LoggerMessage(LogLevel.Warning, "The first read, or looking for old copies of the database, failed: the first caller may wait a little longer, and copies that are too old are removed at the next start.")]
        public static partial void NotWarm(ILogger logger, Exception exception);

        [LoggerMessage(LogLevel.Critical, "{Reason}")]
        public static partial void CannotStart(ILogger logger, string reason);

        [LoggerMessage(LogLevel.Critical, "The database {Path} could not be opened.")]
        public static partial void InitializationFailed(ILogger logger, Exception exception, string path);
    }
}
