namespace ChatHistory.Bench.Load;

/// <summary>What one target did in one round of one workload. Times are in microseconds.</summary>
internal sealed record Slice
{
    public required long Answers { get; init; }

    /// <summary>Answers that were not 200, not whole, or did not come.</summary>
    public required long Errors { get; init; }

    public required double Seconds { get; init; }

    public required double P50 { get; init; }

    public required double P99 { get; init; }

    /// <summary>From the request to the first event of a stream.</summary>
    public double FirstByteP50 { get; init; }

    public double FirstByteP99 { get; init; }

    /// <summary>From the upstream's send of a chunk to its arrival.</summary>
    public double TransitP50 { get; init; }

    public double TransitP99 { get; init; }

    /// <summary>Processor time for each answer, of all the target's processes.</summary>
    public double Cpu { get; init; }

    public double RssMegabytes { get; init; }

    public double Rate => Answers / Seconds;

    /// <summary>Parts as one: what an answer took, the means of the parts' percentiles, and what the memory was at the end. For answers that come whole.</summary>
    public static Slice Together(IReadOnlyList<Slice> parts) => new()
    {
        Answers = parts.Sum(part => part.Answers),
        Errors = parts.Sum(part => part.Errors),
        Seconds = parts.Sum(part => part.Seconds),
        P50 = parts.Average(part => part.P50),
        P99 = parts.Average(part => part.P99),
        Cpu = parts.Sum(part => part.Cpu * part.Answers) / Math.Max(1, parts.Sum(part => part.Answers)),
        RssMegabytes = parts[^1].RssMegabytes,
    };
}
