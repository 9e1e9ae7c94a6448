using ChatHistory.StorageService.Database;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Space;

/// <summary>
/// Disk space that is held back beside the database (<c>chat.db.ballast</c>). When the disk is full it is given up, and from then on only commands
/// that delete or end something are written (<see cref="Writing.WriteCommand.MayUseBallast"/>), until there is room to make it anew.
/// </summary>
/// <remarks>
/// SQLite needs room to delete: the changed pages go to the log first. Without a ballast a full disk could only be mended outside of the service.
/// While it is given up its file is there and empty, so that the next process knows. See docs/decisions/0016.
/// </remarks>
internal sealed partial class Ballast
{
    private const long Megabyte = 1024 * 1024;
    private const long BlockOfFileSystem = 64 * 1024;

    private readonly Lock _lock = new();
    private readonly DatabaseFile _database;
    private readonly long _wanted;
    private readonly ILogger<Ballast> _logger;
    private long _held;
    private volatile bool _isReleased;
    private bool _isShortOfRoom;

    public Ballast(DatabaseFile database, IOptions<DatabaseOptions> options, Writing.StorageMetrics metrics, ILogger<Ballast> logger)
    {
        _database = database;
        _wanted = options.Value.BallastBytes;
        _logger = logger;
        metrics.ObserveBallast(() => HeldBytes);
        metrics.ObserveFreeSpace(() => FreeBytes() ?? 0);
    }

    private string Path => _database.Path + ".ballast";

    /// <summary>True while it is given up: only what may use it is written.</summary>
    public bool IsReleased => _isReleased;

    public long HeldBytes => Interlocked.Read(ref _held);

    /// <summary>Room beyond the ballast with which messages are taken again.</summary>
    private long Spare => Math.Min(Megabyte, Math.Max(_wanted / 8, BlockOfFileSystem));

    /// <summary>Room for the log with which messages are taken again when the file itself has free pages.</summary>
    private long RoomForLog => Math.Min(8 * Megabyte, _wanted / 4);

    /// <summary>At start, before the database is opened: takes over the file of the last process, and gives it up where the disk is full.</summary>
    public void Adopt()
    {
        lock (_lock)
        {
            var file = new FileInfo(Path);
            if (!file.Exists)
            {
                return;
            }

            if (_wanted == 0)
            {
                file.Delete();
                return;
            }

            _held = file.Length;
            _isReleased = _held == 0;
            if (FreeBytes() < Spare)
            {
                ReleaseHeld();
            }
        }
    }

    /// <summary>True for what SQLite says when the disk is full, or may say.</summary>
    public bool SaysDiskIsFull(Exception? failure) => failure is DiskFullException
        || failure is SqliteException { SqliteErrorCode: 13 }
        // The index of the log and quotas have no error of their own.
        || (failure is SqliteException { SqliteErrorCode: 10 or 14 } && FreeBytes() < BlockOfFileSystem);

    /// <summary>Gives it up. False when there is none to give up.</summary>
    public bool Release()
    {
        lock (_lock)
        {
            return _held > 0 && ReleaseHeld();
        }
    }

    /// <summary>Makes it, or makes it anew, when there is room. Called again and again; costs nothing while it is whole.</summary>
    /// <param name="freeBytesInside">Bytes of the database's own free pages; asked for only when the disk has not enough.</param>
    public void Keep(Func<long> freeBytesInside)
    {
        lock (_lock)
        {
            if (_held >= _wanted || FreeBytes() is not { } free)
            {
                return;
            }

            if (free >= _wanted - _held + Spare)
            {
                Hold(_wanted);
            }
            else if (_isReleased && free - RoomForLog >= _wanted / 2 && freeBytesInside() >= RoomForLog)
            {
                // Something was deleted: messages fit into the file again, and only the log needs room of the disk.
                Hold(free - RoomForLog);
            }
            else if (!_isReleased && !_isShortOfRoom)
            {
                _isShortOfRoom = true;
                Log.NoRoom(_logger, Path, _wanted, free);
            }
        }
    }

    private bool ReleaseHeld()
    {
        try
        {
            using var file = new FileStream(Path, FileMode.Truncate);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.CannotBeReleased(_logger, exception, Path);
            return false;
        }

        Log.Released(_logger, Path, _held);
        _held = 0;
        _isReleased = true;
        return true;
    }

    private void Hold(long bytes)
    {
        try
        {
            Allocate(bytes);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (!_isReleased)
            {
                // Empty would say that it was given up.
                File.Delete(Path);
            }
            else if (File.Exists(Path))
            {
                using var file = new FileStream(Path, FileMode.Truncate);
            }

            _held = 0;
            Log.CannotBeMade(_logger, exception, Path);
            return;
        }

        _held = bytes;
        _isShortOfRoom = false;
        if (_isReleased)
        {
            _isReleased = false;
            Log.HeldAgain(_logger, bytes);
        }
    }

    private void Allocate(long bytes)
    {
        using var file = new FileStream(Path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None);
        if (OperatingSystem.IsLinux())
        {
            var error = LibC.Allocate(file.SafeFileHandle, 0, bytes);
            if (error != 0)
            {
                throw new IOException($"posix_fallocate failed with error {error}.");
            }

            return;
        }

        // Other systems have no such call, or one that leaves holes.
        var zeros = new byte[Megabyte];
        for (var left = bytes; left > 0; left -= zeros.Length)
        {
            file.Write(zeros, 0, (int)Math.Min(left, zeros.Length));
        }

        file.Flush(flushToDisk: true);
    }

    private long? FreeBytes()
    {
        try
        {
            return new DriveInfo(System.IO.Path.GetDirectoryName(_database.Path)!).AvailableFreeSpace;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "The disk is full. {Path} ({Bytes} bytes) is given up, so that deleting still works; new messages are refused until there is room for it again.")]
        public static partial void Released(ILogger logger, string path, long bytes);

        [LoggerMessage(LogLevel.Information, "There is room again: {Bytes} bytes are held back, and new messages are taken.")]
        public static partial void HeldAgain(ILogger logger, long bytes);

        [LoggerMessage(LogLevel.Warning, "There is no room for {Path}: {Wanted} bytes are wanted (Database:BallastBytes), {Free} are free. When the disk is full, deleting will not work either.")]
        public static partial void NoRoom(ILogger logger, string path, long wanted, long free);

        [LoggerMessage(LogLevel.Warning, "{Path} could not be made; it is tried again.")]
        public static partial void CannotBeMade(ILogger logger, Exception exception, string path);

        [LoggerMessage(LogLevel.Error, "{Path} could not be given up.")]
        public static partial void CannotBeReleased(ILogger logger, Exception exception, string path);
    }
}
