using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.Bench.Load;
using ChatHistory.Bench.Targets;

namespace ChatHistory.Bench.Http;

/// <summary>Writes the run down: for people, for programs, and as a picture.</summary>
internal sealed class Report(Machine machine, Pace pace, Results results, IReadOnlyList<string> leftOut)
{
    private static readonly string[] s_order = [Target.Direct, Target.Nginx, Target.Yarp, Target.YarpTelemetry, Target.Portkey, Target.Product, Target.LogOnly, Target.GatewayAlone];
    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Answers that a load generator got from the product.</summary>
    public required long Answered { get; init; }

    /// <summary>Answers for which nobody waited: at most so many.</summary>
    public required long Abandoned { get; init; }

    /// <summary>Completed answers in the database.</summary>
    public required long Completed { get; init; }

    /// <summary>The share of the product's processor time that fell between its slices: exports, checkpoints, idling.</summary>
    public required double CpuOutsideSlices { get; init; }

    /// <summary>The share of the machine that others had while it was measured.</summary>
    public required double OthersCpu { get; init; }

    public required (long Calls, long Bytes) Telemetry { get; init; }

    public bool IsEveryAnswerStored => Completed >= Answered && Completed <= Answered + Abandoned;

    public async Task WriteAsync(string repository)
    {
        var text = Text();
        if (pace.Only is null)
        {
            var folder = Path.Combine(repository, "bench/results");
            Directory.CreateDirectory(folder);
            await File.WriteAllTextAsync(Path.Combine(folder, "latest.md"), text);
            await File.WriteAllTextAsync(Path.Combine(folder, "latest.json"), JsonSerializer.Serialize(Data(), s_json) + "\n");
            await File.WriteAllTextAsync(Path.Combine(repository, "docs/images/bench.svg"), Picture.Of(machine, results));
        }

        Console.WriteLine();
        Console.Write(text);
    }

    private string Text()
    {
        var text = new StringBuilder("# Measured by bench/run.sh http\n\n");
        Line(text, $"{machine}.");
        Line(text, $"{pace.Name}: {pace.Rounds} rounds of {pace.SliceSeconds} s, all targets side by side and in turn; medians. How to read it: [README](../README.md).");
        leftOut.ToList().ForEach(line => Line(text, $"{line}"));
        Line(text, $"\n{Answered} answers of ChatHistory were counted by the load generators, {Completed} are completed in its database ({(IsEveryAnswerStored ? "as it must be" : "WRONG")}: up to {Abandoned} more were under way when a load generator stopped). {results.Errors} wrong answers in all.");
        Line(text, $"Telemetry: {Telemetry.Calls} exports, {Telemetry.Bytes / 1048576.0:0.0} MiB. {CpuOutsideSlices:P0} of ChatHistory's processor time fell between its slices.");
        Line(text, $"Processes that do not belong to the run had {OthersCpu:P0} of the machine{(OthersCpu > 0.05 ? ": **too much, these numbers are worth little**" : "")}.\n");

        text.Append("## Targets\n\n| workload | what | target | measured | |\n|---|---|---|---|---|\n");
        foreach (var goal in Goal.Of(results))
        {
            Line(text, $"| {goal.Workload} | {goal.What} | {goal.Limit} | {goal.Value} | {goal.Verdict} |");
        }

        if (pace.Limits)
        {
            Limits(text);
        }

        foreach (var workload in Workload.All)
        {
            Line(text, $"\n## {workload.Name}\n");
            text.Append(workload.IsStream
                ? "| | streams/s | x yarp | x nginx | x portkey | first byte p50 us | p99 | added p50 | chunk transit p50 us | p99 | total p50 ms | CPU us/stream | x yarp | RSS MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
                : "| | req/s | x yarp | x nginx | x portkey | p50 us | p99 us | added p50 | CPU us/req | x yarp | RSS MB |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
            foreach (var target in s_order.Where(target => results.Of(workload.Name, target).Count > 0))
            {
                Row(text, workload, target);
            }
        }

        Line(text, $"\n## {SessionWorkload.Name}\n");
        text.Append("| | req/s | p50 us | p99 us | p50 x first | CPU us/req | x first | RSS MB |\n|---|---|---|---|---|---|---|---|\n");
        foreach (var kind in (string[])[SessionWorkload.First, SessionWorkload.Continue, SessionWorkload.Transcript, SessionWorkload.New])
        {
            string Median(Func<Slice, double> value) => Number(results.Median(SessionWorkload.Name, kind, value));
            string Ratio(Func<Slice, double> value) => Factor(results.Ratio(SessionWorkload.Name, kind, SessionWorkload.First, value));
            Line(text, $"| {kind} | {Median(s => s.Rate)} | {Median(s => s.P50)} | {Median(s => s.P99)} | {Ratio(s => s.P50)} | {Median(s => s.Cpu)} | {Ratio(s => s.Cpu)} | {Median(s => s.RssMegabytes)} |");
        }

        Line(text, $"\n## {TablesAlone.Name}\n");
        text.Append("About the least that the product's tables cost: one thread, no service, each row written once; checkpoints included. x yarp: of YARP's plain answers with 64 connections, in the same round.\n\n");
        text.Append("| | turns/s | x yarp | commit p50 us | p99 us | CPU us/turn | x yarp |\n|---|---|---|---|---|---|---|\n");
        foreach (var kind in TablesAlone.Kinds)
        {
            string Median(Func<Slice, double> value) => Number(results.Median(TablesAlone.Name, kind, value));
            string Ratio(Func<Slice, double> value) => Factor(results.Ratio(TablesAlone.Name, kind, Target.Yarp, value));
            Line(text, $"| {kind} | {Median(s => s.Rate)} | {Ratio(s => s.Rate)} | {Median(s => s.P50)} | {Median(s => s.P99)} | {Median(s => s.Cpu)} | {Ratio(s => s.Cpu)} |");
        }

        return text.ToString();
    }

    /// <summary>How near the gateway comes to the targets with a storage that does less than any real one.</summary>
    private void Limits(StringBuilder text)
    {
        text.Append("\n## Limits\n\nThe product's gateway with other storages. `log`: each call is appended to a file as it came, and on the disk before it is answered; no database. `alone`: nothing is kept, and what the storage takes is not counted. `YARP`: YARP itself, with the telemetry that all services have and a key, and nothing else.\n\n");
        text.Append("| workload | what | target | ChatHistory | log | alone | YARP |\n|---|---|---|---|---|---|---|\n");
        var limits = ((string[])[Target.Product, Target.LogOnly, Target.GatewayAlone, Target.YarpTelemetry]).Select(target => Goal.Of(results, target)).ToArray();
        for (var i = 0; i < limits[0].Count; i++)
        {
            if (limits[^1][i] is { Measured: not null } goal)
            {
                Line(text, $"| {goal.Workload} | {goal.What} | {goal.Limit} | {string.Join(" | ", limits.Select(target => Shown(target[i])))} |");
            }
        }

        static string Shown(Goal goal) => goal.IsMet == true ? $"{goal.Value}, met" : goal.Value;
    }

    private void Row(StringBuilder text, Workload workload, string target)
    {
        string Median(Func<Slice, double> value) => Number(results.Median(workload.Name, target, value));
        string Ratio(string other, Func<Slice, double> value) => Factor(results.Ratio(workload.Name, target, other, value));
        string Added(Func<Slice, double> value) => Number(results.Difference(workload.Name, target, Target.Direct, value));
        var rates = $"| {target} | {Median(s => s.Rate)} | {Ratio(Target.Yarp, s => s.Rate)} | {Ratio(Target.Nginx, s => s.Rate)} | {Ratio(Target.Portkey, s => s.Rate)}";
        var times = workload.IsStream
            ? $"{Median(s => s.FirstByteP50)} | {Median(s => s.FirstByteP99)} | {Added(s => s.FirstByteP50)} | {Median(s => s.TransitP50)} | {Median(s => s.TransitP99)} | {Median(s => s.P50 / 1000)}"
            : $"{Median(s => s.P50)} | {Median(s => s.P99)} | {Added(s => s.P50)}";
        Line(text, $"{rates} | {times} | {Median(s => s.Cpu)} | {Ratio(Target.Yarp, s => s.Cpu)} | {Median(s => s.RssMegabytes)} |");
    }

    private object Data() => new
    {
        machine,
        pace = pace.Name,
        pace.Rounds,
        pace.SliceSeconds,
        leftOut,
        Answered,
        Completed,
        results.Errors,
        OthersCpu,
        Goals = Goal.Of(results).Select(goal => new { goal.Workload, goal.What, goal.AtLeast, goal.Bound, goal.Measured, goal.IsMet }),
        Workloads = Workload.All.Select(workload => workload.Name).Append(SessionWorkload.Name).Append(TablesAlone.Name).ToDictionary(
            workload => workload,
            workload => results.TargetsOf(workload).ToDictionary(target => target, target => results.Of(workload, target))),
    };

    private static void Line(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');

    private static string Number(double? value) => value?.ToString(Math.Abs(value.Value) < 100 ? "0.0" : "0", CultureInfo.InvariantCulture) ?? "–";

    private static string Factor(double? value) => value is { } ratio ? ratio.ToString("0.00", CultureInfo.InvariantCulture) : "–";
}
