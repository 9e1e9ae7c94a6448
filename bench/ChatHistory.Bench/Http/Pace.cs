namespace ChatHistory.Bench.Http;

/// <summary>How long it takes.</summary>
internal sealed record Pace(string Name, int Rounds, int SliceSeconds, int WarmUpAnswers, TimeSpan LongestWarmUp, TimeSpan Compiling, int SessionTurns, TimeSpan Afterwards)
{
    /// <summary>A quarter of an hour.</summary>
    public static readonly Pace Full = new("full", 5, 3, 40_000, TimeSpan.FromSeconds(45), TimeSpan.FromSeconds(12), 2000, TimeSpan.FromSeconds(10));

    /// <summary>Under three minutes: to see whether a change goes the right way, not to publish.</summary>
    public static readonly Pace Quick = new("quick", 2, 1, 8_000, TimeSpan.FromSeconds(12), TimeSpan.FromSeconds(8), 500, TimeSpan.FromSeconds(6));

    /// <summary>Part of the names of the workloads that are measured; null: all of them. What is measured in part is shown and not kept.</summary>
    public string? Only { get; init; }

    /// <summary>The product's gateway is measured with storages that do less than any real one, too.</summary>
    public bool Limits { get; init; }

    public static Pace From(string[] args) => (args.Contains("--quick") ? Quick : Full) with
    {
        Only = Array.IndexOf(args, "--only") is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : null,
        Limits = args.Contains("--limits"),
    };

    public bool Includes(string workload) => Only is null || workload.Contains(Only, StringComparison.OrdinalIgnoreCase);
}
