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

    public static string Text(this double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
