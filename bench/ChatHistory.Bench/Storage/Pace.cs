namespace ChatHistory.Bench.Storage;

/// <summary>How long everything is measured.</summary>
/// <param name="Rounds">How often; figures are medians over them.</param>
/// <param name="WarmUp">Before the first round, so that the service's code is compiled.</param>
/// <param name="Slice">One measurement of a load.</param>
/// <param name="Reads">How many reads of a kind in a round.</param>
/// <param name="Sizes">How many messages the databases hold.</param>
internal sealed record Pace(int Rounds, TimeSpan WarmUp, TimeSpan Slice, int Reads, int[] Sizes)
{
    /// <summary>At the beginning of each slice, before it counts.</summary>
    public TimeSpan Settle => Slice / 5;

    public int TurnsPerSession { get; } = 4;

    public static Pace Of(string[] args) => args switch
    {
        _ when args.Contains("--quick") => new(3, TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(1), 200, [10_000]),
        _ when args.Contains("--full") => new(5, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(3), 1000, [10_000, 1_000_000, 10_000_000]),
        _ => new(5, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(2), 500, [10_000, 1_000_000]),
    };
}
