using System.Diagnostics;
using ChatHistory.Bench.Load;
using ChatHistory.Storage.V1;

namespace ChatHistory.Bench.Storage;

/// <summary>Reading beside appending: whether one slows the other.</summary>
internal static class MixedBench
{
    private const double Target = 0.8;
    private const int ReadsPerSecond = 100;

    public static async Task<Section> RunAsync(FilledStorage storage, Pace pace)
    {
        var (alone, beside) = (new List<double>(), new List<double>());
        var (quiet, busy) = (new List<TimeSpan[]>(), new List<TimeSpan[]>());
        for (var round = 0; round < pace.Rounds; round++)
        {
            alone.Add((await AppendAsync(storage, pace)).MessagesPerSecond);
            quiet.Add(await ReadAsync(storage.Reads, Task.Delay(pace.Settle + pace.Slice)));
            var appends = AppendAsync(storage, pace);
            busy.Add(await ReadAsync(storage.Reads, appends));
            beside.Add((await appends).MessagesPerSecond);
        }

        var kept = beside.Zip(alone, (with, without) => with / without).Median();
        double P50(List<TimeSpan[]> times) => times.Select(round => round.Percentile(50).TotalMilliseconds).Median();
        double P99(List<TimeSpan[]> times) => times.Select(round => round.Percentile(99).TotalMilliseconds).Median();
        double PerSecond(List<TimeSpan[]> times) => times.Select(round => round.Length / (pace.Settle + pace.Slice).TotalSeconds).Median();
        var slower = P50(busy) / P50(quiet);
        return new Section(
            "Reading beside appending",
            $"{storage.History.Messages:N0} messages. Appends: 64 producers at full speed. Reads: {ReadsPerSecond} a second at fixed times, whatever the last one took, each the last 50 messages of a "
            + "random session or a user's list of sessions. A moderate load: people who look at their history while others talk.",
            ["", "alone", "together"],
            [
                ["appended messages/s", alone.Median().Text("0"), beside.Median().Text("0")],
                ["reads/s", PerSecond(quiet).Text("0"), PerSecond(busy).Text("0")],
                ["read p50 / p99 ms", $"{P50(quiet).Text("0.00")} / {P99(quiet).Text("0.00")}", $"{P50(busy).Text("0.00")} / {P99(busy).Text("0.00")}"],
            ],
            [
                new Goal("appends beside reads, to appends alone", ">= 0.80", kept.Text("0.00"), kept >= Target),
                new Goal("reads' p50 beside appends, to reads alone", "<= 1.25", slower.Text("0.00"), slower <= 1 / Target),
            ]);
    }

    private static Task<LoadResult> AppendAsync(FilledStorage storage, Pace pace) =>
        new TurnLoad(new Turns.TurnsClient(storage.Process.Channel), pace.TurnsPerSession).RunAsync(64, pace.Settle, pace.Slice);

    private static async Task<TimeSpan[]> ReadAsync(HistoryReads reads, Task until)
    {
        var running = new List<Task<TimeSpan>>();
        var began = Stopwatch.GetTimestamp();
        for (var number = 0; !until.IsCompleted; number++)
        {
            var due = TimeSpan.FromSeconds((double)number / ReadsPerSecond);
            if (due > Stopwatch.GetElapsedTime(began))
            {
                await Task.WhenAny(until, Task.Delay(due - Stopwatch.GetElapsedTime(began)));
            }

            running.Add(OneAsync(number % 2 == 0 ? reads.LastPageAsync : reads.SessionListAsync));
        }

        return await Task.WhenAll(running);
    }

    private static async Task<TimeSpan> OneAsync(Func<Task> read) => (await HistoryReads.TimeAsync(read, 1))[0];
}
