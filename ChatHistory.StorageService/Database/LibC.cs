using System.Runtime.InteropServices;

namespace ChatHistory.StorageService.Database;

/// <summary>What .NET has no call for. Not on Windows.</summary>
internal static partial class LibC
{
    private const int PathMax = 4096;
    private const int OpenReadOnly = 0;

    /// <summary>The path with every symbolic link in it resolved; null when nothing is there.</summary>
    public static string? RealPath(string path)
    {
        var buffer = new byte[PathMax];
        return Resolve(path, buffer) == IntPtr.Zero ? null : System.Text.Encoding.UTF8.GetString(buffer, 0, Array.IndexOf(buffer, (byte)0));
    }

    /// <summary>Makes durable which files are in a folder: the fsync of a file says nothing about its name.</summary>
    public static void FlushFolder(string path)
    {
        var descriptor = Open(path, OpenReadOnly);
        if (descriptor >= 0)
        {
            // Some file systems refuse it for folders. They have nothing to flush.
            _ = Flush(descriptor);
            _ = Close(descriptor);
        }
    }

    /// <summary>Takes permissions from every file and folder that this process makes from now on. Returns what was taken before.</summary>
    [LibraryImport("libc", EntryPoint = "umask")]
    public static partial uint Mask(uint taken);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUserId();

    /// <summary>Gives a file blocks of its own, so that they can be written even when the disk is full. Returns an error number, 0 for success.</summary>
    [LibraryImport("libc", EntryPoint = "posix_fallocate")]
    public static partial int Allocate(Microsoft.Win32.SafeHandles.SafeFileHandle file, long offset, long length);

    /// <summary>Gives a file a second name. 0 for success.</summary>
    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Link(string from, string to);

    [LibraryImport("libc", EntryPoint = "realpath", StringMarshalling = StringMarshalling.Utf8)]
    private static partial IntPtr Resolve(string path, [Out] byte[] resolved);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Flush(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
