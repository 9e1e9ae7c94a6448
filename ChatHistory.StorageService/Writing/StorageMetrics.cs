using System.Diagnostics.Metrics;

namespace ChatHistory.StorageService.Writing;

/// <summary>What the writer measures. The names live here only.</summary>
internal sealed class StorageMetrics
{
    private readonly Meter _meter;
    private readonly Histogram<int> _batchSize;
    private readonly Histogram<double> _commitDuration;

    public StorageMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(StorageTelemetry.Name);
        _batchSize = _meter.CreateHistogram(
            "chathistory.storage.batch.size", "{command}", "Commands that one transaction carried.",
            advice: new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] });
        _commitDuration = _meter.CreateHistogram(
            "chathistory.storage.commit.duration", "s", "From the begin of a transaction to its durable end.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5] });
    }

    public void Committed(int commands, TimeSpan duration)
    {
        _batchSize.Record(commands);
        _commitDuration.Record(duration.TotalSeconds);
    }

    public void ObserveQueue(Func<int> length) =>
        _meter.CreateObservableGauge("chathistory.storage.queue.length", length, "{call}", "Calls that wait for the writer.");

    public void ObserveLog(Func<long> bytes) =>
        _meter.CreateObservableGauge("chathistory.storage.wal.size", bytes, "By", "Size of the write-ahead log's file.");

    public void ObserveBallast(Func<long> bytes) =>
        _meter.CreateObservableGauge("chathistory.storage.ballast.size", bytes, "By", "Disk space held back for deleting; 0 while it is given up.");

    public void ObserveFreeSpace(Func<long> bytes) =>
        _meter.CreateObservableGauge("chathistory.storage.disk.free", bytes, "By", "Free space on the database's disk.");
}
