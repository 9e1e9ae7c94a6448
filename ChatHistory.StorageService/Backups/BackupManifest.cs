using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf.WellKnownTypes;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Backups;

/// <summary>
/// What is known of a backup; the JSON file beside it:
/// <code>
/// {
///   "name": "chat-000017-20261122T215301Z.db",
///   "created_at": "2026-11-22T21:53:01.123+00:00",
///   "reason": "scheduled",
///   "size": 1187840,
///   "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
///   "migration": "20261122184932_Branches",
///   "rows": { "api_keys": 2, "messages": 1024, "sessions": 64, "users": 3 }
/// }
/// </code>
/// </summary>
internal sealed record BackupManifest
{
    public const string Scheduled = "scheduled";
    public const string Requested = "requested";
    public const string Replaced = "replaced";

    public required string Name { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required string Reason { get; init; }

    public required long Size { get; init; }

    /// <summary>Lower-case hex.</summary>
    public required string Sha256 { get; init; }

    public required string Migration { get; init; }

    public required SortedDictionary<string, long> Rows { get; init; }

    /// <summary>Of a replaced database that was not sound; null for every good backup.</summary>
    public string? Problem { get; init; }

    [JsonIgnore]
    public bool IsGood => Problem is null;

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, BackupJsonContext.Default.BackupManifest);

    /// <summary>Null for what is no manifest.</summary>
    public static BackupManifest? Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, BackupJsonContext.Default.BackupManifest);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public V1.Backup ToContract()
    {
        var backup = new V1.Backup
        {
            Name = Name,
            CreatedAt = Timestamp.FromDateTimeOffset(CreatedAt),
            Reason = Reason,
            Size = Size,
            Sha256 = Sha256,
            Migration = Migration,
            Rows = { Rows },
        };
        if (Problem is not null)
        {
            backup.Problem = Problem;
        }

        return backup;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(BackupManifest))]
internal sealed partial class BackupJsonContext : JsonSerializerContext;
