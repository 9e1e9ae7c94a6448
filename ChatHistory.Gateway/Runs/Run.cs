using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Turns;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Runs;

/// <summary>
/// A turn while the model answers it: who listens, how it is stopped, and the frames so far. Its id is the answer's message id. It lives on
/// this gateway only; what must survive is in storage.
/// </summary>
internal sealed class Run : IDisposable
{
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop;
    private readonly CancellationToken _shutdown;
    private readonly TaskCompletionSource<RelayResult> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private RelayResult _stopResult = RelayResult.ClientLeft;
    private ITimer? _grace;
    private int _listeners;

    public Run(Turn turn, TurnRequest request, Scope scope, TimeProvider time, CancellationToken shutdown, CancellationToken clientLeft)
    {
        _time = time;
        _shutdown = shutdown;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
        Stopping = _stop.Token;
        Turn = turn;
        Scope = scope;
        Fingerprint = request.Fingerprint;
        IsStream = request.Completion.Stream;
        turn.Frames = IsStream ? Frames : null;
        ContinuesAlone = request.ContinueWithoutClient;
        // Nobody can come back to what is not stored.
        Grace = turn.IsStored ? request.DisconnectGrace : TimeSpan.Zero;
        IdempotencyKey = request.IdempotencyKey;
        Choices = request.Completion.Choices;
        Observer = new CompletionObserver(Choices);
        Owner = Listen(clientLeft);
    }

    public Turn Turn { get; }

    /// <summary>The client that began it, as a listener.</summary>
    public IDisposable Owner { get; }

    public Scope Scope { get; }

    /// <summary>What tells the same request again; null when nobody will ask.</summary>
    public string? Fingerprint { get; }

    public string? IdempotencyKey { get; }

    public bool IsStream { get; }

    /// <summary>True: it goes on although nobody listens (<c>on_disconnect: continue</c>, background).</summary>
    public bool ContinuesAlone { get; }

    /// <summary>How long it waits for a client that left to come back: official SDKs repeat a request within a second.</summary>
    public TimeSpan Grace { get; }

    public FrameLog Frames { get; } = new();

    /// <summary>How many choices a complete answer has.</summary>
    public int Choices { get; }

    public CompletionObserver Observer { get; }

    /// <summary>The body that was sent to the model.</summary>
    public ReadOnlyMemory<byte> UpstreamBody { get; set; }

    /// <summary>The answer's body, when it came whole.</summary>
    public ReadOnlyMemory<byte> Body { get; set; }

    /// <summary>Fires when the answer is no longer wanted; <see cref="StopResult"/> says why.</summary>
    public CancellationToken Stopping { get; }

    public RelayResult StopResult => _shutdown.IsCancellationRequested ? RelayResult.ShuttingDown : _stopResult;

    /// <summary>Completes once the end is committed.</summary>
    public Task<RelayResult> Ended => _ended.Task;

    /// <summary>How many clients listen.</summary>
    public int Listeners
    {
        get
        {
            lock (_lock)
            {
                return _listeners;
            }
        }
    }

    /// <summary>True when nobody listens any more.</summary>
    public bool IsOrphaned => Listeners == 0;

    /// <summary>True once a client has got all of it.</summary>
    public bool IsDelivered { get; set; }

    /// <summary>A client listens until it leaves, or until the result is disposed.</summary>
    public IDisposable Listen(CancellationToken clientLeft)
    {
        lock (_lock)
        {
            _listeners++;
            _grace?.Dispose();
            _grace = null;
        }

        return new Listener(this, clientLeft);
    }

    public void Stop(RelayResult why)
    {
        lock (_lock)
        {
            if (_stop.IsCancellationRequested || _ended.Task.IsCompleted)
            {
                return;
            }

            _stopResult = why;
        }

        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended at this very moment.
        }
    }

    public void End(RelayResult result)
    {
        _ended.TrySetResult(result);
        Frames.End();
    }

    public void Dispose()
    {
        _grace?.Dispose();
        _stop.Dispose();
    }

    private void Leave()
    {
        lock (_lock)
        {
            if (--_listeners > 0 || ContinuesAlone || _ended.Task.IsCompleted)
            {
                return;
            }

            if (Grace > TimeSpan.Zero)
            {
                _grace = _time.CreateTimer(
                    static run =>
                    {
                        if (((Run)run!).IsOrphaned)
                        {
                            ((Run)run).Stop(RelayResult.ClientLeft);
                        }
                    },
                    this, Grace, Timeout.InfiniteTimeSpan);
                return;
            }
        }

        Stop(RelayResult.ClientLeft);
    }

    private sealed class Listener : IDisposable
    {
        private readonly Run _run;
        private readonly CancellationTokenRegistration _left;
        private int _gone;

        public Listener(Run run, CancellationToken clientLeft)
        {
            _run = run;
            _left = clientLeft.Register(Leave);
        }

        public void Dispose()
        {
            _left.Dispose();
            Leave();
        }

        private void Leave()
        {
            if (Interlocked.Exchange(ref _gone, 1) == 0)
            {
                _run.Leave();
            }
        }
    }
}
