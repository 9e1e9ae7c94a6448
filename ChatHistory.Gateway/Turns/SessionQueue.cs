using ChatHistory.Gateway.Errors;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Turns;

/// <summary>
/// Turns that continue a session by its id go one after the other: each must see the answer of the one before. A waiting line is short and the
/// wait bounded; beyond that the answer is 409 <c>session_busy</c>.
/// </summary>
/// <remarks>
/// The line is this process's own. Two gateways on one storage service can still run two turns of a session at once; both are then kept, as
/// branches of the session's tree.
/// </remarks>
internal sealed class SessionQueue(TimeProvider time)
{
    private const int MaxWaiting = 16;
    private static readonly TimeSpan s_maxWait = TimeSpan.FromSeconds(60);

    private readonly Dictionary<(string Owner, string SessionId), Line> _lines = [];
    private readonly Lock _lock = new();

    /// <summary>Waits until no other turn of the session runs. Dispose the result to let the next one in; a turn without a session id waits for nobody.</summary>
    /// <param name="scope">Whose line it is. Whether a session is there, and whose it is, is found out behind it: by its id alone, everybody could see that it
    /// is being answered, and could fill its line.</param>
    /// <param name="rule">What to do about turns that run or wait already.</param>
    /// <exception cref="OpenAIErrorException"><c>session_busy</c>.</exception>
    public async Task<IDisposable?> EnterAsync(Scope scope, string? sessionId, MultitaskRule rule, CancellationToken cancellationToken)
    {
        if (sessionId is null || rule == MultitaskRule.Branch)
        {
            return null;
        }

        var key = (scope.Owner, sessionId);
        var line = Join(key, rule == MultitaskRule.Reject ? 0 : MaxWaiting);
        using var tooLong = new CancellationTokenSource(s_maxWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(tooLong.Token, cancellationToken);
        try
        {
            await line.Turnstile.WaitAsync(either.Token);
            return new Place(this, key, line);
        }
        catch (OperationCanceledException)
        {
            Leave(key, line);
            cancellationToken.ThrowIfCancellationRequested();
            throw new OpenAIErrorException(OpenAIError.SessionBusy(sessionId));
        }
    }

    private Line Join((string Owner, string SessionId) key, int maxWaiting)
    {
        lock (_lock)
        {
            if (!_lines.TryGetValue(key, out var line))
            {
                _lines[key] = line = new Line();
            }

            if (line.Present > maxWaiting)
            {
                throw new OpenAIErrorException(OpenAIError.SessionBusy(key.SessionId));
            }

            line.Present++;
            return line;
        }
    }

    private void Leave((string Owner, string SessionId) key, Line line)
    {
        lock (_lock)
        {
            if (--line.Present == 0)
            {
                _lines.Remove(key);
            }
        }
    }

    private sealed class Line
    {
        public SemaphoreSlim Turnstile { get; } = new(1, 1);

        /// <summary>The running turn and those that wait.</summary>
        public int Present { get; set; }
    }

    private sealed class Place(SessionQueue queue, (string Owner, string SessionId) key, Line line) : IDisposable
    {
        public void Dispose()
        {
            line.Turnstile.Release();
            queue.Leave(key, line);
        }
    }
}
