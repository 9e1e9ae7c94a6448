namespace ChatHistory.StorageService.Database;

/// <summary>Where the database really lies. SQLite follows symbolic links, so whatever lies beside the database must lie beside the real file.</summary>
/// <remarks>Two services that reach one file by two links would otherwise take two locks.</remarks>
internal static class DatabasePath
{
    /// <summary>The path without symbolic links, also of a file or folders that are not there yet.</summary>
    public static string Resolve(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return path;
        }

        // A link may name a file that is not there yet: SQLite makes it at its target.
        var target = new FileInfo(path).LinkTarget is null ? path : new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path;
        return ResolveExisting(target);
    }

    /// <summary>Makes the folders above a file that are missing, so that they are there after a power cut.</summary>
    public static void CreateFolder(string folder)
    {
        var missing = new Stack<string>();
        for (var next = folder; next is not null && !Directory.Exists(next); next = Path.GetDirectoryName(next))
        {
            missing.Push(next);
        }

        Directory.CreateDirectory(folder);
        foreach (var made in missing)
        {
            DurableFile.FlushFolder(Path.GetDirectoryName(made)!);
        }
    }

    private static string ResolveExisting(string path)
    {
        if (LibC.RealPath(path) is { } real)
        {
            return real;
        }

        return Path.GetDirectoryName(path) is { } parent ? Path.Combine(ResolveExisting(parent), Path.GetFileName(path)) : path;
    }
}
