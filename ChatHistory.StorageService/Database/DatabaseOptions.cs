using System.ComponentModel.DataAnnotations;

namespace ChatHistory.StorageService.Database;

internal sealed class DatabaseOptions
{
    public const string Section = "Database";

    /// <summary>Absolute path of the SQLite file. Default: <c>db/chat.db</c> below <c>VOLUME_DIR</c>.</summary>
    [Required]
    public string Path { get; set; } = "";

    /// <summary>How long a write waits for another program that holds the database (a shell with an open transaction) before it is refused.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan BusyTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// A file of this size beside the database is given up when the disk is full, so that deleting still works then (decision 16).
    /// 0: none. Made only where there is room for it.
    /// </summary>
    [Range(0, long.MaxValue)]
    public long BallastBytes { get; set; } = 64L * 1024 * 1024;

    /// <summary>Whether the file is copied before its schema is changed (decision 17). Without: a migration that fails half-way leaves only your own backups.</summary>
    public bool CopyBeforeMigration { get; set; } = true;
}
