namespace ChatHistory.StorageService.Writing;

/// <summary>What was wrong with the last write, beyond a fault of one command.</summary>
internal enum WriterTrouble
{
    None,

    /// <summary>Another program holds the database.</summary>
    Locked,

    DiskFull,

    /// <summary>The disk or the file: an I/O error, a failed fsync, corruption.</summary>
    Disk,
}
