using System.Diagnostics;
using ChatHistory.Gateway.Paths;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Runs;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Turns;

/// <summary>
/// One turn in storage, the write-ahead rule: begun before the model is called, saved while it is answered, completed before the client is told
/// so. A turn with <c>store: false</c> has the same life and writes nothing.
/// </summary>
internal sealed partial class Turn : IAsyncDisposable
{
    // Storage takes a turn without a sign of life for 60 s for abandoned.
    private static readonly TimeSpan s_leaseRenewal = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_checkpointInterval = TimeSpan.FromSeconds(1);
    private const int MaxUnsavedChunks = 64;

    private readonly TurnStore _store;
    private readonly Scope _scope;
    private readonly string _answerMessageId;
    private readonly string _traceparent = Activity.Current?.Id ?? "";
    private readonly long _began;
    private readonly ITimer? _lease;
    private IReadOnlyList<MessageContent> _history = [];
    private TurnPath? _path;
    private Task _checkpoint = Task.CompletedTask;
    private long _checkpointAt;
    private int _checkpointChunks;
    private int _savedChunks;
    private int _framesSaved;
    private bool _ended;

    private Turn(TurnStore store, Scope scope, string answerMessageId, bool isStored, bool isFound = false)
    {
        _store = store;
        _scope = scope;
        _answerMessageId = answerMessageId;
        _began = _checkpointAt = store.Time.GetTimestamp();
        IsStored = isStored;
        _lease = isStored && !isFound ? store.Time.CreateTimer(static turn => _ = ((Turn)turn!).SaveCheckpoint(null, 0), this, s_leaseRenewal, s_leaseRenewal) : null;
    }

    /// <summary>False for a turn of which nothing is kept; its ids are then null.</summary>
    public bool IsStored { get; }

    public string? SessionId { get; private init; }

    public string? AnswerMessageId => IsStored ? _answerMessageId : null;

    public string? UserMessageId { get; private init; }

    /// <summary>How many of them the turn before did not show the model.</summary>
    public int OmittedBefore { get; private init; }

    /// <summary>Prompt and answer of the turn before, in tokens; null when that is not known.</summary>
    public int? TokensBefore { get; private init; }

    /// <summary>How many of the history's first messages do not fit, and are not shown to the model.</summary>
    public int Omitted { get; set; }

    /// <summary>How many repairs the history needed before a model would take it.</summary>
    public int Repairs { get; set; }

    /// <summary>True: a first sending of this request has begun the turn; nothing was begun now, and this object only names it.</summary>
    public bool IsFound { get; private init; }

    /// <summary>Of a found turn: in progress, completed or incomplete.</summary>
    public TurnStatus FoundStatus { get; private init; }

    /// <summary>The frames of a streamed answer, which are saved with it.</summary>
    public FrameLog? Frames { get; set; }

    /// <summary>From the start of the turn to the answer's first chunk.</summary>
    public TimeSpan? TimeToFirstChunk { get; private set; }

    /// <summary>Since the start of the turn.</summary>
    public TimeSpan Elapsed => _store.Time.GetElapsedTime(_began);

    /// <summary>A turn that storage has begun, or found.</summary>
    public static Turn Begun(TurnStore store, Scope scope, TurnBegun begun, TurnPath path) => new(store, scope, begun.AnswerMessageId, isStored: true, begun.Found)
    {
        SessionId = begun.SessionId,
        UserMessageId = begun.UserMessageId,
        OmittedBefore = begun.Omitted,
        TokensBefore = begun.HasKnownTokens ? begun.KnownTokens : null,
        _path = begun.Found ? null : path,
        IsFound = begun.Found,
        FoundStatus = begun.Status,
    };

    /// <summary>A turn of which nothing is kept, perhaps with the stored messages of a session before it.</summary>
    public static Turn NotStored(TurnStore store, Transcript? history) => new(store, new Scope(), answerMessageId: "", isStored: false)
    {
        _history = history?.Messages ?? [],
        OmittedBefore = history?.Omitted ?? 0,
        TokensBefore = history is { HasKnownTokens: true } ? history.KnownTokens : null,
    };

    /// <summary>Stored messages that go before the request's own, oldest first. Decoded each time, where the path is kept anyway: an answer takes minutes, and its history may be megabytes.</summary>
    public IReadOnlyList<MessageContent> ReadHistory() => _path?.ReadHistory() ?? _history;

    public void FirstChunkCame() => TimeToFirstChunk ??= Elapsed;

    /// <summary>
    /// Notes a part of the answer that has passed, and saves what has gathered if the last save is more than 64 chunks or a second old. Ends at once, unless the
    /// client is more than 64 chunks ahead of what is saved: then when a save has come to its end, one way or the other.
    /// </summary>
    public async ValueTask ChunkRelayedAsync(CompletionObserver observer, CancellationToken stopping)
    {
        FirstChunkCame();
        BeginCheckpointIfDue(observer);
        if (observer.Passed - _savedChunks > MaxUnsavedChunks && !_checkpoint.IsCompleted)
        {
            await _checkpoint.WaitAsync(stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void BeginCheckpointIfDue(CompletionObserver observer)
    {
        // An answer that is whole will be committed in a moment: it is saved before only where its client is too far ahead.
        var unsaved = observer.Passed - (observer.Finished ? _savedChunks : _checkpointChunks);
        var due = unsaved > MaxUnsavedChunks || _store.Time.GetElapsedTime(_checkpointAt) >= s_checkpointInterval;
        // One save at a time: when storage is slower than the model, the next one carries more.
        if (!due || !IsStored || !_checkpoint.IsCompleted || observer.Choices.FirstOrDefault() is not { } answer)
        {
            return;
        }

        _checkpointAt = _store.Time.GetTimestamp();
        _checkpointChunks = observer.Passed;
        _checkpoint = SaveCheckpoint(answer.ToMessage(), observer.Passed);
    }

    /// <summary>Commits how the turn ended; the first call counts. Only then may the client be told.</summary>
    /// <exception cref="StorageUnavailableException">The end could not be committed; the last checkpoint is what is kept.</exception>
    public async Task CompleteAsync(RelayResult result, CompletionObserver observer)
    {
        if (!IsStored || _ended)
        {
            return;
        }

        _lease!.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        var command = new WriteCommand { Traceparent = _traceparent, Scope = _scope, CompleteTurn = ToCompleteTurn(result, observer) };
        var written = await _store.Writes.WriteAsync(command, _store.Options.CompletePatience);
        if (written.Refusal is { } refusal)
        {
            if (refusal.Reason is not (Refusal.Types.Reason.SessionNotFound or Refusal.Types.Reason.MessageNotFound))
            {
                throw new StorageUnavailableException(refusal.Detail) { Error = Refused.ToError(refusal, SessionId ?? "") };
            }

            // The session was deleted while it was being answered: there is nothing left to keep the answer in, and nobody wants it kept.
            Log.TurnIsGone(_store.Logger, SessionId, _answerMessageId, refusal.Reason);
        }

        _ended = true;
        if (written.TurnCompleted?.Path is { } path)
        {
            _store.Paths.Keep(_scope, SessionId!, _path!, command.CompleteTurn.Answer.Content, path);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_lease is not null)
        {
            await _lease.DisposeAsync();
        }
    }

    private CompleteTurn ToCompleteTurn(RelayResult result, CompletionObserver observer)
    {
        var choices = observer.Choices.ToArray();
        var answer = choices.FirstOrDefault() ?? new ChoiceAccumulator();
        var complete = new CompleteTurn
        {
            SessionId = SessionId,
            AnswerMessageId = _answerMessageId,
            Status = result.ToStatus(answer.FinishReason),
            Answer = ToAnswer(answer, result),
            DurationMs = Elapsed.TotalMilliseconds,
            Error = result.ToTurnError(),
            Frames = Frames is null ? null : FramePack.Pack(_framesSaved + 1, Frames.After(_framesSaved)),
            Path = _path?.Version,
        };
        if (Omitted > 0)
        {
            complete.Omitted = Omitted;
        }

        foreach (var alternative in choices.Skip(1))
        {
            var stored = ToAnswer(alternative, result);
            stored.MessageId = _store.NewId();
            complete.Alternatives.Add(stored);
        }

        // Optional fields of protobuf cannot be set to null: absent is absent.
        if (observer.CompletionTokens is { } tokens)
        {
            complete.Answer.Tokens = tokens;
        }

        if (observer.PromptTokens is { } promptTokens)
        {
            complete.PromptTokens = promptTokens;
        }

        if (TimeToFirstChunk is { } first)
        {
            complete.TtftMs = first.TotalMilliseconds;
        }

        if (observer.CompletionId is { } completionId)
        {
            complete.CompletionId = completionId;
        }

        if (observer.Model is { } model)
        {
            complete.Model = model;
        }

        return complete;
    }

    private static Answer ToAnswer(ChoiceAccumulator choice, RelayResult result)
    {
        var answer = new Answer { Content = choice.ToMessage() };
        if (result.FinishReasonOf(choice) is { } reason)
        {
            answer.FinishReason = reason;
        }

        return answer;
    }

    private async Task SaveCheckpoint(MessageContent? answer, int chunks)
    {
        var frames = answer is null ? null : Frames?.After(_framesSaved);
        try
        {
            var checkpoint = new Checkpoint
            {
                SessionId = SessionId,
                AnswerMessageId = _answerMessageId,
                Answer = answer,
                Frames = frames is null ? null : FramePack.Pack(_framesSaved + 1, frames),
            };
            await _store.Writes.WriteAsync(new WriteCommand { Traceparent = _traceparent, Scope = _scope, Checkpoint = checkpoint }, TimeSpan.Zero);
            _framesSaved += frames?.Length ?? 0;
            _savedChunks = Math.Max(_savedChunks, chunks);
        }
        catch (StorageUnavailableException exception)
        {
            // The next one carries this one's text too, and the end of the turn decides whether the client is told that it is stored.
            Log.CheckpointFailed(_store.Logger, exception, _answerMessageId);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The partial answer of message {MessageId} could not be saved")]
        public static partial void CheckpointFailed(ILogger logger, Exception exception, string messageId);

        [LoggerMessage(2, LogLevel.Information, "Session {SessionId} with message {MessageId} was deleted during the turn ({Reason})")]
        public static partial void TurnIsGone(ILogger logger, string? sessionId, string messageId, Refusal.Types.Reason reason);
    }
}
