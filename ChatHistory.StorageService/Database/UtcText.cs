using System.Globalization;
using Google.Protobuf.WellKnownTypes;

namespace ChatHistory.StorageService.Database;

/// <summary>
/// Times as the database holds them: UTC text, <c>2026-01-31 23:59:59.123</c>, which sorts together with the text of
/// SQLite's CURRENT_TIMESTAMP (<c>2026-01-31 23:59:59</c>).
/// </summary>
/// <remarks>
/// Row types keep the text itself instead of converting it: rows that other tools wrote have another precision, and a page
/// cursor must carry exactly the text that the index is sorted by, or a row is repeated or skipped.
/// </remarks>
internal static class UtcText
{
    private const string Format = "yyyy-MM-dd HH:mm:ss.fff";

    public static string Of(DateTimeOffset time) => time.UtcDateTime.ToString(Format, CultureInfo.InvariantCulture);

    /// <summary>The time in <paramref name="text"/>; the Unix epoch for what is no time (other tools may write anything).</summary>
    public static DateTimeOffset Parse(string? text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? time
            : DateTimeOffset.UnixEpoch;

    public static Timestamp ToTimestamp(string? text) => Timestamp.FromDateTimeOffset(Parse(text));
}
