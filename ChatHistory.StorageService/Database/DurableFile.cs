namespace ChatHistory.StorageService.Database;

/// <summary>Files that are there after a power cut: their content by an fsync of the file, their name by one of the folder.</summary>
internal static class DurableFile
{
    public static void Flush(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        RandomAccess.FlushToDisk(file);
    }

    /// <summary>Makes the names in a folder durable: what was created, renamed or deleted in it.</summary>
    public static void FlushFolder(string path)
    {
        // Windows has no such call; NTFS keeps its names in a journal.
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        LibC.FlushFolder(path);
    }

    /// <summary>Puts a whole file under a name at once: the old one or the new one is there, and never a part.</summary>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        var temporary = path + ".tmp";
        using (var file = File.OpenHandle(temporary, FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(file, content, 0);
            RandomAccess.FlushToDisk(file);
        }

        Move(temporary, path);
    }

    public static void Move(string from, string to)
    {
        File.Move(from, to, overwrite: true);
        FlushFolder(Path.GetDirectoryName(to)!);
    }

    /// <summary>A second name for the file; a copy where the file system has no second names, or the file would lie on another one.</summary>
    public static void LinkOrCopy(string from, string to)
    {
        File.Delete(to);
        if (OperatingSystem.IsWindows() || LibC.Link(from, to) != 0)
        {
            File.Copy(from, to);
            Flush(to);
        }
    }
}
