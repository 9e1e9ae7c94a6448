using System.Diagnostics.Metrics;
using ChatHistory.Gateway.Errors;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Admission;

/// <summary>
/// How many requests may be under way at the model server at once. One more is refused within a moment instead of making all of them slow: a queue
/// in front of a model that is busy already helps nobody, and its clients give up while they wait in it.
/// </summary>
/// <remarks>
/// A request is looked at twice. Before anything else (<see cref="AdmissionEndpoints.UseAdmission"/>: no body is read and no storage is asked for one that
/// will be refused), and when its work begins (<see cref="Enter"/>). In between it holds no place, so that a client that sends its body slowly keeps
/// nobody else out.
/// </remarks>
internal sealed class AdmissionGate
{
    private readonly Limit _turns;
    private readonly Limit _passThrough;
    private readonly Counter<long> _shed;
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _closed;

    public AdmissionGate(IOptions<LimitsOptions> options, IMeterFactory meters)
    {
        _turns = new Limit("turn", options.Value.MaxConcurrentTurns, "Limits:MaxConcurrentTurns");
        _passThrough = new Limit("pass_through", options.Value.MaxConcurrentPassThrough, "Limits:MaxConcurrentPassThrough");
        var meter = meters.Create("ChatHistory.Gateway");
        _shed = meter.CreateCounter<long>("chathistory.requests.shed", "{request}", "Requests that were refused because too much was under way, or because the gateway is stopping.");
        meter.CreateObservableGauge(
            "chathistory.requests.admitted", () => new[] { _turns.Measure(), _passThrough.Measure() }, "{request}", "Requests under way for the model server.");
    }

    /// <summary>True once the gateway is stopping: nothing new begins.</summary>
    public bool IsClosed => _closed;

    /// <summary>Why a request of that kind would not be let in now; null when it would.</summary>
    public OpenAIError? RefusalOf(AdmissionKind kind) =>
        _closed ? Refuse(kind, ShuttingDown(), "shutting_down")
        : Of(kind) is { IsFull: true } full ? Refuse(kind, Overloaded(full), "overloaded")
        : null;

    /// <summary>Takes a place. Dispose the result when the work is done.</summary>
    /// <exception cref="OpenAIErrorException">There is none.</exception>
    public IDisposable Enter(AdmissionKind kind)
    {
        var limit = Of(kind);
        if (!limit.TryEnter())
        {
            throw new OpenAIErrorException(Refuse(kind, Overloaded(limit), "overloaded"));
        }

        // After the place was taken: whoever closes the gate either sees it taken, or is seen here.
        if (_closed)
        {
            Leave(limit);
            throw new OpenAIErrorException(Refuse(kind, ShuttingDown(), "shutting_down"));
        }

        return new Place(this, limit);
    }

    /// <summary>Lets nobody in any more, and completes when everybody is out.</summary>
    public Task CloseAsync()
    {
        _closed = true;
        CompleteIfEmpty();
        return _drained.Task;
    }

    private Limit Of(AdmissionKind kind) => kind == AdmissionKind.Turn ? _turns : _passThrough;

    private OpenAIError Refuse(AdmissionKind kind, OpenAIError error, string reason)
    {
        _shed.Add(1, new KeyValuePair<string, object?>("kind", Of(kind).Name), new KeyValuePair<string, object?>("reason", reason));
        return error;
    }

    private void Leave(Limit limit)
    {
        limit.Leave();
        CompleteIfEmpty();
    }

    private void CompleteIfEmpty()
    {
        if (_closed && _turns.Running == 0 && _passThrough.Running == 0)
        {
            _drained.TrySetResult();
        }
    }

    private static OpenAIError Overloaded(Limit limit) =>
        new(StatusCodes.Status503ServiceUnavailable, ErrorTypes.Server, "overloaded",
            $"This gateway has {limit.Most} such requests under way already, as many as it takes at once ({limit.Setting}). Nothing of this one was carried out; try again shortly.")
        {
            RetryAfterSeconds = 1,
        };

    private static OpenAIError ShuttingDown() =>
        new(StatusCodes.Status503ServiceUnavailable, ErrorTypes.Server, "shutting_down", "The gateway is being stopped and begins nothing new. Nothing of this request was carried out; try again shortly.")
        {
            RetryAfterSeconds = 5,
            // A client that keeps its connection would come back to the process that is about to end.
            EndsConnection = true,
        };

    private sealed class Limit(string name, int most, string setting)
    {
        private int _running;

        public string Name => name;

        public int Most => most;

        public string Setting => setting;

        public int Running => Volatile.Read(ref _running);

        public bool IsFull => Running >= most;

        public bool TryEnter()
        {
            if (Interlocked.Increment(ref _running) <= most)
            {
                return true;
            }

            Leave();
            return false;
        }

        public void Leave() => Interlocked.Decrement(ref _running);

        public Measurement<int> Measure() => new(Running, new KeyValuePair<string, object?>("kind", name));
    }

    private sealed class Place(AdmissionGate gate, Limit limit) : IDisposable
    {
        private Limit? _limit = limit;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _limit, null) is { } held)
            {
                gate.Leave(held);
            }
        }
    }
}

/// <summary>What is counted together.</summary>
internal enum AdmissionKind
{
    /// <summary>An answer that is kept: chat completions and responses, in the background too.</summary>
    Turn,

    /// <summary>What passes through unstored. Its places are its own: its bodies go on while they arrive, so a slow client holds one.</summary>
    PassThrough,
}
