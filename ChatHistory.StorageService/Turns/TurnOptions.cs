namespace ChatHistory.StorageService.Turns;

internal sealed class TurnOptions
{
    public const string Section = "Turns";

    /// <summary>A turn that nobody has written to for this long has lost its gateway. Gateways renew a turn at least every 20 s.</summary>
    public TimeSpan AbandonedAfter { get; set; } = TimeSpan.FromSeconds(60);
}
