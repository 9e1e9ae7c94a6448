using System.Runtime.InteropServices;

namespace ChatHistory.Bench.Http;

/// <summary>Where it was measured.</summary>
internal sealed record Machine(int Cores, string Processor, string Kernel, string Runtime, string FileSystem)
{
    public static Machine Here(string folder) => new(
        Environment.ProcessorCount,
        File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown",
        File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
        RuntimeInformation.FrameworkDescription,
        // The longest mount point above the folder.
        DriveInfo.GetDrives().Where(drive => folder.StartsWith(drive.Name, StringComparison.Ordinal)).OrderByDescending(drive => drive.Name.Length).FirstOrDefault()?.DriveFormat ?? "unknown");

    public bool IsRealDisk => FileSystem is not ("tmpfs" or "ramfs");

    public override string ToString() => $"{Cores} cores ({Processor}), Linux {Kernel}, {Runtime}, database on {FileSystem}";
}
