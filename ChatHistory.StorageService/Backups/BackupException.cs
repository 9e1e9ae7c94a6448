using Grpc.Core;

namespace ChatHistory.StorageService.Backups;

/// <summary>A backup or a restore was refused or failed; nothing was changed. The message is a sentence for the operator.</summary>
internal sealed class BackupException(StatusCode status, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public StatusCode Status => status;

    public static BackupException NotFound(string name, string folder) =>
        new(StatusCode.NotFound, $"There is no backup '{name}' in {folder}.");

    public static BackupException Busy() =>
        new(StatusCode.Aborted, "A backup or a restore is under way already. Wait for its end, then try again.");

    public static BackupException Damaged(string name, string problem) =>
        new(StatusCode.DataLoss, $"The backup {name} is damaged ({problem}). Nothing was changed: take an older one.");

    /// <exception cref="BackupException">So many bytes do not fit into the folder.</exception>
    public static void ThrowIfNoRoom(string folder, long needed)
    {
        var free = new DriveInfo(folder).AvailableFreeSpace;
        if (free < needed)
        {
            throw new BackupException(
                StatusCode.ResourceExhausted, $"There is no room in {folder}: {needed / 1024 / 1024 + 1} MiB are needed, {free / 1024 / 1024} MiB are free. Free some, or set Backup:Directory to another disk.");
        }
    }
}
