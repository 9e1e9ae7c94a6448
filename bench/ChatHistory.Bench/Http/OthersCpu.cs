using System.Diagnostics;
using System.Globalization;

namespace ChatHistory.Bench.Http;

/// <summary>How much of the machine went to processes that do not belong to the run, and to other machines on the same host.</summary>
internal sealed class OthersCpu
{
    // USER_HZ
    private const double TicksPerSecond = 100;

    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly double _busy = BusySeconds();
    private readonly double _own = OwnSeconds();

    /// <summary>To be asked when the run's processes have ended: only then are they counted as this one's.</summary>
    public double ShareOfMachine() =>
        Math.Max(0, BusySeconds() - _busy - (OwnSeconds() - _own)) / (Stopwatch.GetElapsedTime(_started).TotalSeconds * Environment.ProcessorCount);

    // "cpu  user nice system idle iowait irq softirq steal ...": all but idle and iowait.
    private static double BusySeconds() =>
        File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..9]
            .Where((_, field) => field is not (3 or 4)).Sum(ticks => double.Parse(ticks, CultureInfo.InvariantCulture)) / TicksPerSecond;

    // utime, stime, and those of the children that have ended: fields 14 to 17, counted behind the name.
    private static double OwnSeconds() =>
        File.ReadAllText("/proc/self/stat").Split(')')[^1].Split(' ')[12..16].Sum(ticks => double.Parse(ticks, CultureInfo.InvariantCulture)) / TicksPerSecond;
}
