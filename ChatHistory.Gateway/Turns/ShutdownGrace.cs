using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Turns;

/// <summary>
/// On SIGTERM answers that are under way get a little time to end (<c>Limits:StopGrace</c>). Then this token fires, and what has arrived of them is committed as interrupted,
/// well before the host gives up.
/// </summary>
internal sealed class ShutdownGrace(IOptions<LimitsOptions> options) : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private int _begun;

    public CancellationToken Token => _source.Token;

    /// <summary>The gateway is asked to stop.</summary>
    public void Begin()
    {
        if (Interlocked.Exchange(ref _begun, 1) == 0)
        {
            _source.CancelAfter(options.Value.StopGrace);
        }
    }

    public void Dispose() => _source.Dispose();
}
