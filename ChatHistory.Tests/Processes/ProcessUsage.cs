using System.Globalization;

namespace ChatHistory.Tests.Processes;

/// <summary>What a process holds, as Linux says it: what tests of leaks and of memory look at.</summary>
internal static class ProcessUsage
{
    /// <summary>Open files and sockets; null where there is no /proc.</summary>
    public static int? OpenFiles(this ServiceProcess service) =>
        Directory.Exists($"/proc/{service.Id}/fd") ? Directory.GetFileSystemEntries($"/proc/{service.Id}/fd").Length : null;

    /// <summary>Resident memory in bytes; null where there is no /proc.</summary>
    /// <remarks><c>VmRSS:	   91236 kB</c></remarks>
    public static long? ResidentBytes(this ServiceProcess service)
    {
        var status = $"/proc/{service.Id}/status";
        return File.Exists(status)
            ? File.ReadLines(status).Where(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))
                .Select(line => 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[^2], CultureInfo.InvariantCulture)).First()
            : null;
    }

    public static string Megabytes(this long? bytes) => bytes is null ? "?" : string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0} MB");
}
