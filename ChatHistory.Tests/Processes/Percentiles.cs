using System.Globalization;

namespace ChatHistory.Tests.Processes;

/// <summary>Measured times, as figures.</summary>
internal static class Percentiles
{
    /// <summary>The smallest of them that so many of a hundred do not exceed.</summary>
    public static TimeSpan Percentile(this IEnumerable<TimeSpan> times, int percent)
    {
        var sorted = times.Order().ToArray();
        return sorted.Length == 0 ? TimeSpan.Zero : sorted[Math.Min(sorted.Length - 1, (int)Math.Ceiling(sorted.Length * percent / 100.0) - 1)];
    }

    public static string Milliseconds(this TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0} ms");
}
