using System.Diagnostics.Metrics;
using ChatHistory.StorageService.Writing;

namespace ChatHistory.StorageService.Backups;

/// <summary>What is measured of backups. The names live here only.</summary>
internal sealed class BackupMetrics
{
    private readonly Counter<long> _made;
    private readonly Histogram<double> _duration;
    private readonly Meter _meter;

    public BackupMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(StorageTelemetry.Name);
        _made = _meter.CreateCounter<long>("chathistory.storage.backups", "{backup}", "Backups and restores that ended, by operation and outcome.");
        _duration = _meter.CreateHistogram<double>("chathistory.storage.backup.duration", "s", "From the begin of a backup to its verified end.");
    }

    public void Ended(string operation, string outcome) => _made.Add(1, new("operation", operation), new("outcome", outcome));

    public void Made(TimeSpan duration)
    {
        Ended("backup", "ok");
        _duration.Record(duration.TotalSeconds);
    }

    public void ObserveAge(Func<TimeSpan?> age) =>
        _meter.CreateObservableGauge(
            "chathistory.storage.backup.age",
            () => age() is { } known ? [new Measurement<double>(known.TotalSeconds)] : Array.Empty<Measurement<double>>(),
            "s",
            "Since the last good backup; nothing while there is none.");
}
