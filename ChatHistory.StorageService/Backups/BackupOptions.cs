using System.ComponentModel.DataAnnotations;

namespace ChatHistory.StorageService.Backups;

internal sealed class BackupOptions
{
    public const string Section = "Backup";

    /// <summary>Where backups lie; a folder for each database. Default: <c>backups</c> beside the database. Another disk is better: this one may fail.</summary>
    public string Directory { get; set; } = "";

    /// <summary>How often one is made; 0 for never. The time goes on while the service is stopped.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    public TimeSpan Every { get; set; } = TimeSpan.FromDays(1);

    /// <summary>How many good ones are kept. Older ones are deleted once a new one is verified, and never before.</summary>
    [Range(1, 10_000)]
    public int Keep { get; set; } = 7;
}
