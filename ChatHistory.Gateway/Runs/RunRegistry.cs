using System.Collections.Concurrent;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Turns;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Runs;

/// <summary>The runs of this gateway: under way, and ended a moment ago without their client having got the answer.</summary>
internal sealed class RunRegistry(TimeProvider time, ShutdownGrace shutdown)
{
    // An official SDK that lost its connection is back within seconds.
    private static readonly TimeSpan s_keptUndelivered = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, Run> _live = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _beginning = new();
    // Two owners may send the very same body; neither may take the other's place.
    private readonly ConcurrentDictionary<(string Owner, string Fingerprint), Run> _byFingerprint = new();
    private readonly ConcurrentQueue<(long At, Run Run)> _undelivered = new();

    /// <summary>
    /// Announces a run before its turn is begun in storage, where another sending of the same request may see it at once. Dispose the result when
    /// the run is started, or will not be.
    /// </summary>
    public IDisposable Announce(string id)
    {
        var announcement = new Announcement(this, id);
        _beginning[id] = announcement.Over;
        return announcement;
    }

    /// <summary>A live run, also one that is just about to start; null when it does not live here.</summary>
    public async Task<Run?> FindAsync(string id, Scope scope)
    {
        if (_beginning.TryGetValue(id, out var over))
        {
            await over.Task;
        }

        return Find(id, scope);
    }

    /// <summary>A run of the turn. It is registered if something of it is stored, and nobody has begun it before.</summary>
    public Run Start(Turn turn, TurnRequest request, Scope scope, CancellationToken clientLeft)
    {
        var run = new Run(turn, request, scope, time, shutdown.Token, clientLeft);
        if (turn is { AnswerMessageId: { } id, IsFound: false })
        {
            _live[id] = run;
            if (run.Fingerprint is not null)
            {
                _byFingerprint[(scope.Owner, run.Fingerprint)] = run;
            }
        }

        return run;
    }

    public void End(Run run, RelayResult result)
    {
        run.End(result);
        if (run.Turn.AnswerMessageId is { } id)
        {
            _live.TryRemove(id, out _);
        }

        if (result.Outcome == RelayOutcome.Completed && !run.IsDelivered)
        {
            _undelivered.Enqueue((time.GetTimestamp(), run));
        }
        else
        {
            Forget(run);
        }

        while (_undelivered.TryPeek(out var oldest) && time.GetElapsedTime(oldest.At) > s_keptUndelivered && _undelivered.TryDequeue(out oldest))
        {
            Forget(oldest.Run);
        }
    }

    /// <summary>A live run that the scope may see, or null.</summary>
    public Run? Find(string id, Scope scope) => _live.TryGetValue(id, out var run) && IsVisible(run, scope) ? run : null;

    /// <summary>The live runs of a session that the scope may see.</summary>
    public IReadOnlyList<Run> OfSession(string sessionId, Scope scope) =>
        [.. _live.Values.Where(run => run.Turn.SessionId == sessionId && IsVisible(run, scope))];

    /// <summary>
    /// The run of an earlier sending of the same request: its client is gone without the answer, or this request says that it is the same one.
    /// </summary>
    public Run? FindEarlier(TurnRequest request, Scope scope) =>
        request.Fingerprint is { } fingerprint && _byFingerprint.TryGetValue((scope.Owner, fingerprint), out var run) && IsVisible(run, scope)
        && run is { IsDelivered: false, Stopping.IsCancellationRequested: false } && run.IdempotencyKey == request.IdempotencyKey
        && (run.IsOrphaned || request.IdempotencyKey is not null || request.IsRepeated)
            ? run
            : null;

    private static bool IsVisible(Run run, Scope scope) => scope.Everyone || (!run.Scope.Everyone && scope.Owner == run.Scope.Owner);

    private sealed class Announcement(RunRegistry registry, string id) : IDisposable
    {
        public TaskCompletionSource Over { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Dispose()
        {
            registry._beginning.TryRemove(id, out _);
            Over.TrySetResult();
        }
    }

    private void Forget(Run run)
    {
        if (run.Fingerprint is not null)
        {
            _byFingerprint.TryRemove(KeyValuePair.Create((run.Scope.Owner, run.Fingerprint), run));
        }
    }
}
