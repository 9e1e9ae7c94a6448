using System.Globalization;

namespace ChatHistory.Bench.Storage;

/// <summary>Percentiles of times, and figures as text.</summary>
internal static class Figures
{
    public static TimeSpan Percentile(this IEnumerable<TimeSpan> times, double percent)
    {
        var sorted = times.Order().ToArray();
        return sorted.Length == 0 ? TimeSpan.Zero : sorted[Math.Clamp((int)Math.Ceiling(sorted.Length * percent / 100) - 1, 0, sorted.Length - 1)];
    }

    /// <summary>The median and the 99th percentile in milliseconds, as the tables show both.</summary>
    public static string P50AndP99(this IReadOnlyCollection<TimeSpan> times) =>
        $"{times.Percentile(50).TotalMilliseconds.Text("0.00")} / {times.Percentile(99).TotalMilliseconds.Text("0.00")}";

    public static string Text(this double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
