using System.Globalization;
using ChatHistory.Bench.Load;
using ChatHistory.Storage.V1;

namespace ChatHistory.Bench.Storage;

/// <summary>What reading and appending cost as the history grows.</summary>
internal static class HistoryBench
{
    private const double SameTarget = 1.5;
    private const double AppendsTarget = 0.9;
    private const double MemoryTarget = 300;
    private const double ColdTarget = 2;
    private const int ColdReads = 60;
    private const int ReadsInATurn = 20;

    public static async Task<Section> RunAsync(IReadOnlyList<FilledStorage> storages, Pace pace)
    {
        var reads = new Dictionary<(string Read, int Messages), List<TimeSpan[]>>();
        var appends = storages.ToDictionary(storage => storage.History.Messages, _ => new List<double>());
        foreach (var storage in storages)
        {
            await OsCache.ReadIntoAsync(storage.DatabasePath);
        }

        // The first round compiles what the later ones measure.
        for (var round = -1; round < pace.Rounds; round++)
        {
            foreach (var name in storages[0].Reads.All.Keys)
            {
                var times = await TimeInTurnsAsync(storages, name, pace.Reads);
                if (round < 0)
                {
                    continue;
                }

                foreach (var (messages, measured) in times)
                {
                    reads.TryAdd((name, messages), []);
                    reads[(name, messages)].Add([.. measured]);
                }
            }

            foreach (var storage in storages)
            {
                var load = await new TurnLoad(new Turns.TurnsClient(storage.Process.Channel), pace.TurnsPerSession).RunAsync(64, pace.Settle, pace.Slice);
                if (round >= 0)
                {
                    appends[storage.History.Messages].Add(load.MessagesPerSecond);
                }
            }
        }

        var section = new Section(
            "History",
            "One reader over gRPC, p50 / p99 in milliseconds, files in the OS cache; appends by 64 producers. All sizes run side by side and take turns; medians over the rounds. "
            + "A session has 60 messages, a thousand of them written side by side; the giant has a tenth of all. `cold`: the file's pages are put out of the OS cache before each read.",
            ["what", .. storages.Select(storage => $"{storage.History.Messages:N0} messages")], [], []);
        foreach (var name in storages[0].Reads.All.Keys)
        {
            AddReads(section, name, storages, reads);
        }

        AddAppends(section, storages, appends);
        await AddColdAsync(section, storages);
        var memory = storages.Select(storage => storage.Process.RssMegabytes).ToArray();
        section.Rows.Add(["memory of the service, MB", .. memory.Select(megabytes => megabytes.Text("0"))]);
        section.Rows.Add(["database, MB", .. storages.Select(storage => storage.Megabytes.Text("0"))]);
        section.Goals.Add(new Goal("storage memory", "< 300 MB", $"{memory.Max().Text("0")} MB", memory.Max() < MemoryTarget));
        return section;
    }

    /// <summary>One kind of read from every size, in many short turns, so that what else the machine does meets every size alike.</summary>
    private static async Task<Dictionary<int, List<TimeSpan>>> TimeInTurnsAsync(IReadOnlyList<FilledStorage> storages, string name, int count)
    {
        var times = storages.ToDictionary(storage => storage.History.Messages, _ => new List<TimeSpan>());
        for (var turn = 0; turn < count / ReadsInATurn; turn++)
        {
            foreach (var storage in storages)
            {
                times[storage.History.Messages].AddRange(await HistoryReads.TimeAsync(storage.Reads.All[name], ReadsInATurn));
            }
        }

        return times;
    }

    private static void AddReads(
        Section section, string name, IReadOnlyList<FilledStorage> storages, Dictionary<(string Read, int Messages), List<TimeSpan[]>> reads)
    {
        double Figure(FilledStorage storage, double percent) =>
            reads[(name, storage.History.Messages)].Select(times => times.Percentile(percent).TotalMilliseconds).Median();
        section.Rows.Add([name, .. storages.Select(storage => $"{Figure(storage, 50).Text("0.00")} / {Figure(storage, 99).Text("0.00")}")]);
        if (storages.Count > 1)
        {
            var p99s = storages.Select(storage => Figure(storage, 99)).ToArray();
            section.Goals.Add(new Goal(
                $"{name}: largest p99 of a size to the smallest", "<= 1.5", (p99s.Max() / p99s.Min()).Text("0.00"), p99s.Max() / p99s.Min() <= SameTarget));
        }
    }

    private static void AddAppends(Section section, IReadOnlyList<FilledStorage> storages, Dictionary<int, List<double>> appends)
    {
        section.Rows.Add(["appends, messages/s", .. storages.Select(storage => appends[storage.History.Messages].Median().Text("0"))]);
        var (smallest, largest) = (storages[0].History.Messages, storages[^1].History.Messages);
        if (smallest != largest)
        {
            var ratio = appends[largest].Zip(appends[smallest], (large, small) => large / small).Median();
            section.Goals.Add(new Goal($"appends at {largest:N0} messages to {smallest:N0}", ">= 0.90", ratio.Text("0.00"), ratio >= AppendsTarget));
        }
    }

    private static async Task AddColdAsync(Section section, IReadOnlyList<FilledStorage> storages)
    {
        var cold = new List<TimeSpan[]>();
        foreach (var storage in storages)
        {
            var times = new List<TimeSpan>();
            for (var i = 0; i < ColdReads; i++)
            {
                await OsCache.PutOutAsync(storage.DatabasePath);
                times.AddRange(await HistoryReads.TimeAsync(storage.Reads.LastPageAsync, 1));
            }

            cold.Add([.. times]);
        }

        section.Rows.Add(["last 50 of a session, cold", .. cold.Select(times => times.P50AndP99())]);
        var p50 = cold[^1].Percentile(50).TotalMilliseconds;
        section.Goals.Add(new Goal(
            string.Create(CultureInfo.InvariantCulture, $"last 50, cold file of {storages[^1].History.Messages:N0} messages, p50"), "<= 2 ms", $"{p50.Text("0.00")} ms", p50 <= ColdTarget));
    }
}
