using System.Diagnostics;

namespace ChatHistory.Bench.Storage;

/// <summary>What the operating system holds of a file in memory.</summary>
internal static class OsCache
{
    public static async Task ReadIntoAsync(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        var buffer = new byte[4 * 1024 * 1024];
        while (await file.ReadAsync(buffer) > 0)
        {
        }
    }

    // fdatasync, because only clean pages go; then posix_fadvise(POSIX_FADV_DONTNEED) for the whole file.
    public static async Task PutOutAsync(string path)
    {
        foreach (var options in new[] { new[] { "conv=notrunc,fdatasync", $"of={path}", "if=/dev/null" }, ["iflag=nocache", $"if={path}", "of=/dev/null"] })
        {
            using var dd = Process.Start(new ProcessStartInfo("dd", [.. options, "count=0", "status=none"]))!;
            await dd.WaitForExitAsync();
        }
    }
}
