using System.Text.Json.Serialization;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Backups;

/// <summary>A backup of the database as operators see it.</summary>
internal sealed record BackupResource
{
    [JsonPropertyName("name")]
    public required string Name { get; init; }

    [JsonPropertyName("created_at")]
    public required DateTime CreatedAt { get; init; }

    /// <summary>scheduled, requested, or replaced (what the database was before a restore).</summary>
    [JsonPropertyName("reason")]
    public required string Reason { get; init; }

    [JsonPropertyName("size")]
    public required long Size { get; init; }

    [JsonPropertyName("sha256")]
    public required string Sha256 { get; init; }

    [JsonPropertyName("migration")]
    public required string Migration { get; init; }

    /// <summary>Rows of each table.</summary>
    [JsonPropertyName("rows")]
    public required IReadOnlyDictionary<string, long> Rows { get; init; }

    /// <summary>What is wrong with it; only a replaced database is kept all the same.</summary>
    [JsonPropertyName("problem"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Problem { get; init; }

    public static BackupResource From(Backup backup) => new()
    {
        Name = backup.Name,
        CreatedAt = backup.CreatedAt.ToDateTime(),
        Reason = backup.Reason,
        Size = backup.Size,
        Sha256 = backup.Sha256,
        Migration = backup.Migration,
        Rows = backup.Rows.OrderBy(table => table.Key, StringComparer.Ordinal).ToDictionary(),
        Problem = backup.HasProblem ? backup.Problem : null,
    };
}

/// <summary>Newest first.</summary>
internal sealed record BackupList
{
    [JsonPropertyName("backups")]
    public required IReadOnlyList<BackupResource> Backups { get; init; }

    /// <summary>Seconds since the last good backup.</summary>
    [JsonPropertyName("age_seconds")]
    public double? AgeSeconds { get; init; }

    /// <summary>When the next one is made; null when none is made by itself.</summary>
    [JsonPropertyName("next_at")]
    public DateTime? NextAt { get; init; }

    /// <summary>Why the last attempt failed; null when it did not.</summary>
    [JsonPropertyName("last_failure")]
    public string? LastFailure { get; init; }

    public static BackupList From(ListBackupsReply reply) => new()
    {
        Backups = [.. reply.Backups.Select(BackupResource.From)],
        AgeSeconds = reply.HasAgeSeconds ? reply.AgeSeconds : null,
        NextAt = reply.NextAt?.ToDateTime(),
        LastFailure = reply.HasLastFailure ? reply.LastFailure : null,
    };
}

internal sealed record RestoredBackup
{
    [JsonPropertyName("restored")]
    public required BackupResource Restored { get; init; }

    /// <summary>What the database was before: a backup now, so that this can be undone.</summary>
    [JsonPropertyName("replaced")]
    public BackupResource? Replaced { get; init; }

    /// <summary>API keys that were valid in the backup and stay revoked, because they have been revoked since.</summary>
    [JsonPropertyName("keys_kept_revoked")]
    public required int KeysKeptRevoked { get; init; }

    public static RestoredBackup From(RestoreBackupReply reply) => new()
    {
        Restored = BackupResource.From(reply.Restored),
        Replaced = reply.Replaced is null ? null : BackupResource.From(reply.Replaced),
        KeysKeptRevoked = reply.KeysKeptRevoked,
    };
}

[JsonSerializable(typeof(BackupResource))]
[JsonSerializable(typeof(BackupList))]
[JsonSerializable(typeof(RestoredBackup))]
internal sealed partial class BackupsJsonContext : JsonSerializerContext
{
    public static BackupsJsonContext Wire { get; } = new(WireJson.Options);
}
