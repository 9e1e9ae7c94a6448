using ChatHistory.Bench.Targets;

namespace ChatHistory.Bench.Storage;

/// <summary>Measures the storage service by itself: appends, history, both at once, its start, and what SQLite alone takes.</summary>
internal static class StorageBench
{
    private const string Usage =
        """
        usage: bench/run.sh storage [--quick | --full] [--folder FOLDER] [appends] [history] [mixed] [start] [limits]
          --quick    small figures in little time;  --full  also ten million messages (about 15 GB)
          --folder   where the databases lie, on a real disk; filled ones are used again, with what limits has appended to them (default: a new folder below the temporary one, removed at the end)
        """;

    private static readonly string[] s_parts = ["appends", "history", "mixed", "start", "limits"];

    public static async Task<int> RunAsync(string[] args)
    {
        var at = Array.IndexOf(args, "--folder");
        var given = at >= 0 && at + 1 < args.Length ? Path.GetFullPath(args[at + 1]) : null;
        string[] rest = [.. args.Where((_, i) => given is null || (i != at && i != at + 1))];
        if (rest.Except([.. s_parts, "--quick", "--full"]).Any())
        {
            Console.Error.WriteLine(Usage);
            return 2;
        }

        var folder = given ?? Directory.CreateTempSubdirectory("chathistory-bench-").FullName;
        try
        {
            var parts = rest.Intersect(s_parts).ToHashSet();
            var sections = new List<Section>();
            try
            {
                await MeasureAsync(folder, Pace.Of(rest), parts.Count == 0 ? [.. s_parts] : parts, sections);
            }
            finally
            {
                // Also of a run that failed: what was measured until then.
                Console.WriteLine($"written to {StorageReport.Write(sections)}");
            }

            return 0;
        }
        finally
        {
            if (given is null)
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private static async Task MeasureAsync(string folder, Pace pace, HashSet<string> parts, List<Section> sections)
    {
        var telemetryPort = ChildProcess.FreePort();
        await using var telemetry = await TelemetrySink.StartAsync(telemetryPort);
        var settings = new Dictionary<string, string> { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://127.0.0.1:{telemetryPort}" };
        if (parts.Contains("appends"))
        {
            Console.WriteLine("appends");
            sections.Add(await AppendBench.RunAsync(folder, pace, settings));
        }

        if (parts.Count == 1 && parts.Contains("appends"))
        {
            return;
        }

        var storages = new List<FilledStorage>();
        try
        {
            foreach (var size in parts.Contains("history") || parts.Contains("limits") ? pace.Sizes : pace.Sizes[^1..])
            {
                storages.Add(await FilledStorage.StartAsync(folder, size, settings));
            }

            if (parts.Contains("history"))
            {
                Console.WriteLine("history");
                sections.Add(await HistoryBench.RunAsync(storages, pace));
            }

            if (parts.Contains("mixed"))
            {
                Console.WriteLine("mixed");
                sections.Add(await MixedBench.RunAsync(storages[^1], pace));
            }
        }
        finally
        {
            foreach (var storage in storages)
            {
                await storage.DisposeAsync();
            }
        }

        if (parts.Contains("start"))
        {
            Console.WriteLine("start");
            // A gigabyte is a million messages.
            var volume = storages.MinBy(storage => Math.Abs(storage.History.Messages - 1_000_000))!.Volume;
            sections.Add(await StartBench.RunAsync(folder, volume, pace, settings));
        }

        if (parts.Contains("limits"))
        {
            Console.WriteLine("limits");
            sections.Add(await LimitsBench.RunAsync(storages, pace));
        }
    }
}
