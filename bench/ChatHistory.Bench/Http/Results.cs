using ChatHistory.Bench.Load;

namespace ChatHistory.Bench.Http;

/// <summary>Every slice of the run. What is compared is compared within a round, when both had the machine at nearly the same time; then the median of the rounds is taken.</summary>
internal sealed class Results
{
    private readonly Dictionary<(string Workload, string Target), List<Slice>> _slices = [];

    public long Errors => _slices.Values.SelectMany(slices => slices).Sum(slice => slice.Errors);

    public IEnumerable<string> TargetsOf(string workload) => _slices.Keys.Where(key => key.Workload == workload).Select(key => key.Target);

    public void Add(string workload, string target, Slice slice)
    {
        if (!_slices.TryGetValue((workload, target), out var slices))
        {
            _slices[(workload, target)] = slices = [];
        }

        slices.Add(slice);
    }

    public IReadOnlyList<Slice> Of(string workload, string target) => _slices.GetValueOrDefault((workload, target)) ?? [];

    /// <returns>Null when the target was not there.</returns>
    public double? Median(string workload, string target, Func<Slice, double> value) =>
        Of(workload, target) is { Count: > 0 } slices ? Percentiles.Median(slices.Select(value)) : null;

    public double? Ratio(string workload, string target, string other, Func<Slice, double> value) =>
        Compare(workload, target, other, (a, b) => value(b) == 0 ? 0 : value(a) / value(b));

    public double? Difference(string workload, string target, string other, Func<Slice, double> value) =>
        Compare(workload, target, other, (a, b) => value(a) - value(b));

    private double? Compare(string workload, string target, string other, Func<Slice, Slice, double> compare) =>
        Of(workload, target).Zip(Of(workload, other), compare).ToArray() is { Length: > 0 } rounds ? Percentiles.Median(rounds) : null;
}
