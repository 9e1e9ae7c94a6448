namespace ChatHistory.StorageService.Database;

/// <summary>
/// The operating system's lock on <c>chat.db.lock</c> beside the database: one service owns the file. It is gone with the process,
/// however the process ends, so that a kill never blocks the next start.
/// </summary>
internal sealed class DatabaseLock : IDisposable
{
    private readonly FileStream _file;

    private DatabaseLock(FileStream file) => _file = file;

    /// <exception cref="DatabaseStartException">The directory cannot be used, or another service owns the database.</exception>
    public static DatabaseLock Take(string databasePath)
    {
        var realPath = DatabasePath.Resolve(databasePath);
        PrepareDirectory(databasePath, Path.GetDirectoryName(realPath)!);
        var path = realPath + ".lock";
        try
        {
            // FileShare.None is flock(LOCK_EX | LOCK_NB) on Unix. The file is never deleted: a lock on a deleted file protects nothing.
            return new DatabaseLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (UnauthorizedAccessException exception)
        {
            throw NotWritable(databasePath, exception);
        }
        catch (IOException exception)
        {
            throw new DatabaseStartException(
                $"The lock {path} is taken: another storage service owns {databasePath}. Stop that one, or give this one a file of its own with Database:Path.",
                exception);
        }
    }

    public void Dispose() => _file.Dispose();

    /// <exception cref="DatabaseStartException">It is a network share.</exception>
    public static void RequireLocal(string fileSystem, string databasePath)
    {
        if (FileSystem.IsNetwork(fileSystem))
        {
            throw new DatabaseStartException(
                $"The database's directory {Path.GetDirectoryName(databasePath)} is a network share ({fileSystem}). SQLite's write-ahead log needs a local disk: "
                + $"set Database:Path (now {databasePath}) to a file on one.");
        }
    }

    private static void PrepareDirectory(string databasePath, string directory)
    {
        try
        {
            DatabasePath.CreateFolder(directory);
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            throw NotWritable(databasePath, exception);
        }

        RequireLocal(FileSystem.Of(directory), databasePath);
    }

    private static DatabaseStartException NotWritable(string databasePath, Exception exception) => new(
        $"The database's directory {Path.GetDirectoryName(databasePath)} cannot be written by {CurrentUser()} ({exception.Message}). "
        + $"Give it to that user (chown -R), run the service as the directory's owner, or set Database:Path (now {databasePath}).",
        exception);

    private static string CurrentUser() => OperatingSystem.IsWindows() ? Environment.UserName : $"uid {LibC.EffectiveUserId()}";
}
