using System.Globalization;
using ChatHistory.Bench.Load;
using ChatHistory.Bench.Targets;

namespace ChatHistory.Bench.Http;

/// <summary>What is wanted on two cores with keys, telemetry and durability on, and what was measured.</summary>
/// <param name="Measured">Null when what it is compared with was not there.</param>
internal sealed record Goal(string Workload, string What, bool AtLeast, double Bound, string Unit, double? Measured)
{
    public bool? IsMet => Measured is not { } value ? null : AtLeast ? value >= Bound : value <= Bound;

    public string Verdict => IsMet switch { null => "not measured", true => "pass", false => "**miss**" };

    public string Limit => string.Create(CultureInfo.InvariantCulture, $"{(AtLeast ? "≥" : "≤")} {Bound:0.0#}{Unit}");

    public string Value => Measured is { } value ? string.Create(CultureInfo.InvariantCulture, $"{value:0.00}{Unit}") : "–";

    /// <param name="target">What is measured against them.</param>
    public static IReadOnlyList<Goal> Of(Results results, string target = Target.Product)
    {
        Goal Faster(Workload workload, string other, double bound) =>
            new(workload.Name, $"answers/s over {other}'s", AtLeast: true, bound, "x", results.Ratio(workload.Name, target, other, slice => slice.Rate));
        Goal Less(Workload workload, string what, double bound, Func<Slice, double> value) =>
            new(workload.Name, $"{what} over yarp's", AtLeast: false, bound, "x", results.Ratio(workload.Name, target, Target.Yarp, value));
        Goal Added(Workload workload, string what, double bound, Func<Slice, double> value) =>
            new(workload.Name, $"{what} added to direct", AtLeast: false, bound, " ms", results.Difference(workload.Name, target, Target.Direct, value) / 1000);
        Goal Session(string what, Func<Slice, double> value) =>
            new(SessionWorkload.Name, $"{what} over a first turn's", AtLeast: false, 1.3, "x", target == Target.Product ? results.Ratio(SessionWorkload.Name, SessionWorkload.Continue, SessionWorkload.First, value) : null);

        return
        [
            Faster(Http.Workload.Json64, Target.Yarp, 0.7),
            Faster(Http.Workload.Json64, Target.Portkey, 12),
            Less(Http.Workload.Json64, "CPU of an answer", 1.8, slice => slice.Cpu),
            Faster(Http.Workload.Think64, Target.Yarp, 0.9),
            Less(Http.Workload.Think64, "p99", 1.5, slice => slice.P99),
            Faster(Http.Workload.Think256, Target.Yarp, 0.85),
            Less(Http.Workload.Think256, "p99", 1.5, slice => slice.P99),
            Added(Http.Workload.Json1, "p50", 0.7, slice => slice.P50),
            Added(Http.Workload.Paced32, "time to first byte p50", 0.6, slice => slice.FirstByteP50),
            Less(Http.Workload.Paced32, "chunk transit p50", 1.3, slice => slice.TransitP50),
            Less(Http.Workload.Paced32, "CPU of a stream", 1, slice => slice.Cpu),
            Less(Http.Workload.Paced128, "chunk transit p50", 1.3, slice => slice.TransitP50),
            Less(Http.Workload.Paced128, "CPU of a stream", 1, slice => slice.Cpu),
            Faster(Http.Workload.Burst32, Target.Yarp, 0.65),
            Faster(Http.Workload.Burst32, Target.Portkey, 2.5),
            Session("p50 of a continuation", slice => slice.P50),
            Session("CPU of a continuation", slice => slice.Cpu),
        ];
    }
}
