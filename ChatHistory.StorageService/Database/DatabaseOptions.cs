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
}
