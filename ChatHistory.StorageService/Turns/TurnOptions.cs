namespace ChatHistory.StorageService.Turns;

internal sealed class TurnOptions
{
    public const string Section = "Turns";

    /// <summary>A turn that nobody has written to for this long has lost its gateway. Gateways renew a turn at least every 20 s.</summary>
    public TimeSpan AbandonedAfter { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long the frames of a streamed answer can be read again. The answer itself stays.</summary>
    public TimeSpan FramesKept { get; set; } = TimeSpan.FromDays(1);

    /// <summary>How long an idempotency key stands for its request.</summary>
    public TimeSpan IdempotencyKeysKept { get; set; } = TimeSpan.FromDays(1);
}
