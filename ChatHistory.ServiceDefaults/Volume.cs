using Microsoft.Extensions.Configuration;

namespace ChatHistory.ServiceDefaults;

/// <summary>
/// Where the data lies: <c>VOLUME_DIR</c> (default <c>./volume</c>) with <c>db</c>, <c>logs</c> and <c>models</c> below it.
/// Containers mount the three elsewhere and name them one by one (<c>Database:Path</c>, <c>Logs:Directory</c>).
/// </summary>
public static class Volume
{
    /// <summary>Absolute path of the database file: <c>Database:Path</c>, else <c>db/chat.db</c> in the volume.</summary>
    public static string DatabasePath(IConfiguration configuration) =>
        Absolute(configuration["Database:Path"], configuration, "db", "chat.db");

    /// <summary>Absolute path of the log folder: <c>Logs:Directory</c>, else <c>logs</c> in the volume.</summary>
    public static string LogsDirectory(IConfiguration configuration) =>
        Absolute(configuration["Logs:Directory"], configuration, "logs");

    private static string Absolute(string? configured, IConfiguration configuration, params ReadOnlySpan<string> belowVolume)
    {
        if (!string.IsNullOrWhiteSpace(configured))
        {
            return Path.GetFullPath(configured);
        }

        var volume = configuration["VOLUME_DIR"];
        return Path.GetFullPath(Path.Combine([string.IsNullOrWhiteSpace(volume) ? "volume" : volume, .. belowVolume]));
    }
}
