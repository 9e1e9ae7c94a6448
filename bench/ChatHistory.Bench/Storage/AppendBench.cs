using System.Globalization;
using ChatHistory.Bench.Load;
using ChatHistory.Storage.V1;

namespace ChatHistory.Bench.Storage;

/// <summary>Appended messages a second: through the service, and through raw SQLite on the same disk.</summary>
internal static class AppendBench
{
    private const double Target = 0.7;
    private const string How =
        """
        `service`: the gateway's calls over gRPC, one call in flight that carries all that waits; a turn is begun (question, answer's row), then completed (answer).
        `raw`: one writer thread in the load generator's process, group commit, one table with the same columns, one row per message.
        `raw, schema`: the same into a file with the service's schema, without its triggers, and the session row updated with each message. Sessions of 4 turns. Medians of interleaved rounds.
        """;

    private static readonly int[] s_producers = [1, 16, 64, 256];

    public static async Task<Section> RunAsync(string folder, Pace pace, IReadOnlyDictionary<string, string> settings)
    {
        var schema = Path.Combine(folder, "schema");
        await using (await StorageProcess.StartAsync(schema, settings))
        {
            // It makes the file, with its schema.
        }

        await using var storage = await StorageProcess.StartAsync(Path.Combine(folder, "appends"), settings);
        var service = new TurnLoad(new Turns.TurnsClient(storage.Channel), pace.TurnsPerSession);
        await service.RunAsync(64, TimeSpan.Zero, pace.WarmUp);
        var measured = s_producers.ToDictionary(producers => producers, _ => new List<Round>());
        for (var round = 0; round < pace.Rounds; round++)
        {
            foreach (var producers in s_producers)
            {
                var before = storage.Cpu;
                var load = await service.RunAsync(producers, pace.Settle, pace.Slice);
                // The first moments of a slice do not count as messages, but as processor time.
                var cpu = (storage.Cpu - before) * (pace.Slice / (pace.Settle + pace.Slice)) / (load.MessagesPerSecond * pace.Slice.TotalSeconds);
                measured[producers].Add(new Round(
                    load,
                    cpu.TotalMicroseconds,
                    await RawAsync(Path.Combine(folder, "raw.db"), likeTheService: false, producers, pace),
                    await RawAsync(Path.Combine(schema, "db", "chat.db"), likeTheService: true, producers, pace)));
            }
        }

        return ToSection(measured);
    }

    private static async Task<LoadResult> RawAsync(string path, bool likeTheService, int producers, Pace pace)
    {
        using var load = new RawLoad(path, likeTheService);
        return await load.RunAsync(producers, pace.Settle, pace.Slice, pace.TurnsPerSession);
    }

    private static Section ToSection(Dictionary<int, List<Round>> measured)
    {
        var section = new Section(
            "Appends", How,
            ["producers", "service msg/s", "raw msg/s", "raw, schema msg/s", "service / raw", "service / raw, schema", "service CPU us/msg", "commit p50 ms", "p99 ms", "raw p50 ms", "p99 ms"], [], []);
        foreach (var (producers, rounds) in measured)
        {
            var ratio = rounds.Select(round => round.Service.MessagesPerSecond / round.Raw.MessagesPerSecond).Median();
            var ofSchema = rounds.Select(round => round.Service.MessagesPerSecond / round.Schema.MessagesPerSecond).Median();
            section.Rows.Add(
            [
                producers.ToString(CultureInfo.InvariantCulture),
                rounds.Select(round => round.Service.MessagesPerSecond).Median().Text("0"),
                rounds.Select(round => round.Raw.MessagesPerSecond).Median().Text("0"),
                rounds.Select(round => round.Schema.MessagesPerSecond).Median().Text("0"),
                ratio.Text("0.00"),
                ofSchema.Text("0.00"),
                rounds.Select(round => round.ServiceCpu).Median().Text("0"),
                rounds.Select(round => round.Service.P50.TotalMilliseconds).Median().Text("0.00"),
                rounds.Select(round => round.Service.P99.TotalMilliseconds).Median().Text("0.00"),
                rounds.Select(round => round.Raw.P50.TotalMilliseconds).Median().Text("0.00"),
                rounds.Select(round => round.Raw.P99.TotalMilliseconds).Median().Text("0.00"),
            ]);
            section.Goals.Add(new Goal($"appended messages/s, {producers} producers, of raw SQLite's", ">= 0.70", ratio.Text("0.00"), ratio >= Target));
        }

        return section;
    }

    private sealed record Round(LoadResult Service, double ServiceCpu, LoadResult Raw, LoadResult Schema);
}
