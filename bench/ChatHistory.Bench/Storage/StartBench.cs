using System.Diagnostics;
using System.Globalization;
using ChatHistory.Bench.Load;
using ChatHistory.Bench.Targets;
using ChatHistory.Storage.V1;

namespace ChatHistory.Bench.Storage;

/// <summary>How soon it is there, and what it holds while it does nothing.</summary>
internal static class StartBench
{
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(15);

    /// <param name="folder">Of the run.</param>
    /// <param name="volume">A filled one, whose service does not run any more.</param>
    public static async Task<Section> RunAsync(string folder, string volume, Pace pace, IReadOnlyDictionary<string, string> settings)
    {
        var ready = new List<double>();
        for (var round = 0; round < pace.Rounds; round++)
        {
            await using (var killed = await StorageProcess.StartAsync(volume, settings))
            {
                // In the middle of writing, so that there is a log to be read.
                var load = new TurnLoad(new Turns.TurnsClient(killed.Channel), pace.TurnsPerSession).RunAsync(64, TimeSpan.Zero, TimeSpan.FromSeconds(60));
                await Task.Delay(TimeSpan.FromSeconds(2));
                await killed.KillAsync();
                await load.ContinueWith(_ => { }, TaskScheduler.Default);
            }

            await using var again = await StorageProcess.StartAsync(volume, settings);
            ready.Add(again.ReadyAfter.TotalSeconds);
        }

        var megabytes = new FileInfo(Path.Combine(volume, "db", "chat.db")).Length / 1048576.0;
        var (start, gateway, storage) = await RunScriptAsync(folder);
        return new Section(
            "Start and rest",
            $"Ready: from the process's start until `/health` says so, after SIGKILL under load with a file of {megabytes.Text("0")} MB. `./run.sh --direct`: until it says ready, built before. "
            + $"Idle memory: {s_idle.TotalSeconds} s after that, nothing asked.",
            ["", ""],
            [
                ["ready after a kill, s", $"{ready.Median().Text("0.00")} (worst {ready.Max().Text("0.00")})"],
                ["./run.sh --direct, s", start.TotalSeconds.Text("0.0")],
                ["idle memory of the gateway, MB", gateway.Text("0")],
                ["idle memory of the storage service, MB", storage.Text("0")],
            ],
            [
                new Goal($"ready after a kill, file of {megabytes.Text("0")} MB", "<= 3 s", $"{ready.Median().Text("0.00")} s", ready.Median() <= 3),
                new Goal("./run.sh warm start", "< 10 s", $"{start.TotalSeconds.Text("0.0")} s", start.TotalSeconds < 10),
                new Goal("idle memory of the gateway", "< 120 MB", $"{gateway.Text("0")} MB", gateway < 120),
                new Goal("idle memory of the storage service", "< 120 MB", $"{storage.Text("0")} MB", storage < 120),
            ]);
    }

    private static async Task<(TimeSpan Start, double Gateway, double Storage)> RunScriptAsync(string folder)
    {
        var run = new ProcessStartInfo(Path.Combine(Programs.RepositoryRoot, "run.sh"), ["--direct"]) { RedirectStandardOutput = true };
        run.Environment["GATEWAY_PORT"] = ChildProcess.FreePort().ToString(CultureInfo.InvariantCulture);
        run.Environment["ADMIN_PORT"] = ChildProcess.FreePort().ToString(CultureInfo.InvariantCulture);
        run.Environment["VOLUME_DIR"] = Path.Combine(folder, "run");
        var began = Stopwatch.GetTimestamp();
        using var script = Process.Start(run)!;
        try
        {
            // "storage    pid 4711    grpc http://..."
            var processes = new Dictionary<string, int>();
            while (await script.StandardOutput.ReadLineAsync() is { } line && !line.StartsWith("ready ", StringComparison.Ordinal))
            {
                if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var name, "pid", var id, ..])
                {
                    processes[name] = int.Parse(id, CultureInfo.InvariantCulture);
                }
            }

            var start = Stopwatch.GetElapsedTime(began);
            await Task.Delay(s_idle);
            double Megabytes(string name) => ChildProcess.RssBytesOf(processes[name]) / 1048576.0;
            return (start, Megabytes("gateway"), Megabytes("storage"));
        }
        finally
        {
            using var kill = Process.Start("kill", ["-TERM", script.Id.ToString(CultureInfo.InvariantCulture)]);
            await script.WaitForExitAsync();
        }
    }
}
