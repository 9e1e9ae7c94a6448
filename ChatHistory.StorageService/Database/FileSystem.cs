namespace ChatHistory.StorageService.Database;

/// <summary>Which file system a folder is on, and whether SQLite's write-ahead log can be trusted to it.</summary>
/// <remarks>
/// The log's index is memory that all connections share, and its locks are the operating system's: both end at the border of a machine
/// (https://sqlite.org/wal.html). Folders that Docker Desktop shares (virtiofs, fakeowner, grpcfuse) are used from one machine and are not refused.
/// </remarks>
internal static class FileSystem
{
    private static readonly HashSet<string> s_network = new(StringComparer.OrdinalIgnoreCase)
    {
        "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "smbfuse", "ncpfs", "ncp", "afs", "coda", "afpfs", "webdav", "davfs", "davfs2",
        "9p", "v9fs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "orangefs", "pvfs2", "gfs", "gfs2", "ocfs2", "acfs", "panfs", "vboxsf", "vmhgfs", "prl_fs",
        "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.s3fs", "fuse.goofys", "fuse.mountpoint-s3", "fuse.mount-s3", "fuse.rclone",
        "fuse.gcsfuse", "fuse.blobfuse", "fuse.blobfuse2", "fuse.juicefs", "fuse.seaweedfs", "fuse.mfs", "fuse.moosefs", "fuse.davfs", "fuse.davfs2",
        "fuse.smbnetfs", "fuse.smb", "fuse.nfs", "fuse.curlftpfs", "fuse.vmhgfs-fuse", "fuse.beegfs", "fuse.lizardfs", "fuse.saunafs", "fuse.afp", "fuse.dfs",
    };

    public static bool IsNetwork(string name) => s_network.Contains(name);

    /// <summary>The file system of a folder that is there, e.g. <c>ext4</c> or <c>fuse.sshfs</c>.</summary>
    public static string Of(string folder)
    {
        const string MountInfo = "/proc/self/mountinfo";
        // All that statfs knows of sshfs and its like is "fuse"; the list of mounts says which.
        if (OperatingSystem.IsLinux() && File.Exists(MountInfo) && Find(File.ReadLines(MountInfo), LibC.RealPath(folder) ?? folder) is { } name)
        {
            return name;
        }

        var drive = new DriveInfo(folder);
        return drive.DriveType == DriveType.Network && !IsNetwork(drive.DriveFormat) ? "smb" : drive.DriveFormat;
    }

    /// <summary>Finds the file system that a path without links is on.</summary>
    /// <param name="mountInfo">
    /// Lines such as <c>36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue</c>, where the fifth word is the mount point
    /// with a space as <c>\040</c>, and the one behind the lonely dash is the file system (man 5 proc_pid_mountinfo).
    /// </param>
    public static string? Find(IEnumerable<string> mountInfo, string path)
    {
        var (found, length) = ((string?)null, -1);
        foreach (var line in mountInfo)
        {
            var words = line.Split(' ');
            var dash = Array.IndexOf(words, "-", Math.Min(6, words.Length));
            if (dash < 0 || dash + 1 >= words.Length)
            {
                continue;
            }

            var mountPoint = words[4].Replace("\\040", " ", StringComparison.Ordinal).Replace("\\011", "\t", StringComparison.Ordinal)
                .Replace("\\012", "\n", StringComparison.Ordinal).Replace("\\134", "\\", StringComparison.Ordinal);
            var isAbove = mountPoint == "/" || path == mountPoint || path.StartsWith(mountPoint + '/', StringComparison.Ordinal);
            // Of two on the same point the later one is what is seen.
            if (isAbove && mountPoint.Length >= length)
            {
                (found, length) = (words[dash + 1], mountPoint.Length);
            }
        }

        return found;
    }
}
