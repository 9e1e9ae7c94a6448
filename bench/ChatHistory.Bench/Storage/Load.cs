using System.Diagnostics;

namespace ChatHistory.Bench.Storage;

/// <summary>What so many producers got done.</summary>
internal sealed record LoadResult(double MessagesPerSecond, TimeSpan P50, TimeSpan P99);

/// <summary>Runs producers for a time.</summary>
internal static class Load
{
    public static async Task<LoadResult> RunAsync(int producers, TimeSpan warmUp, TimeSpan duration, Func<int, CommitLog, Task> produce)
    {
        var logs = Enumerable.Range(0, producers).Select(_ => new CommitLog(warmUp, duration)).ToArray();
        await Task.WhenAll(logs.Select((log, producer) => Task.Run(() => produce(producer, log))));
        var times = logs.SelectMany(log => log.Times).ToArray();
        return new LoadResult(times.Length / duration.TotalSeconds, times.Percentile(50), times.Percentile(99));
    }
}

/// <summary>One producer's commits, each with how long it was waited for. Those of the warm-up do not count.</summary>
internal sealed class CommitLog(TimeSpan warmUp, TimeSpan duration)
{
    private readonly long _began = Stopwatch.GetTimestamp();

    public List<TimeSpan> Times { get; } = [];

    public bool IsOver => Stopwatch.GetElapsedTime(_began) >= warmUp + duration;

    public async Task<T> TimeAsync<T>(Func<Task<T>> commit)
    {
        var began = Stopwatch.GetTimestamp();
        var result = await commit();
        if (Stopwatch.GetElapsedTime(_began) is var now && now >= warmUp && now < warmUp + duration)
        {
            Times.Add(Stopwatch.GetElapsedTime(began));
        }

        return result;
    }
}
