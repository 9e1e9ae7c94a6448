using ChatHistory.Gateway.ChatCompletions;

namespace ChatHistory.Gateway.Turns;

/// <summary>What a turn is to do, in whatever dialect it was asked for: the completion to ask the model for, and its place in the history.</summary>
internal sealed record TurnRequest : IDisposable
{
    /// <summary>The body for the model, without the stored history.</summary>
    public required ChatCompletionRequest Completion { get; init; }

    public required string RequestId { get; init; }

    /// <summary>The user whom the request names; see <see cref="Identity.Caller.UserNamed"/>.</summary>
    public string? UserNamed { get; init; }

    /// <summary>False asks for no history: nothing of this turn is written.</summary>
    public bool Store { get; init; } = true;

    /// <summary>The session to continue; null: found by the transcript, or by <see cref="ParentMessageId"/>, or new.</summary>
    public string? SessionId { get; init; }

    /// <summary>True when the session is named by a UI: it is created when it does not exist, and the messages are always its whole transcript.</summary>
    public bool IsTranscriptOfSession { get; init; }

    /// <summary>The message that the new ones follow (an edit); without new ones, the message that is to be answered again (a regeneration).</summary>
    public string? ParentMessageId { get; init; }

    /// <summary>How many of the completion's first messages are not stored: instructions that hold for this turn only.</summary>
    public int UnstoredMessages { get; init; }

    /// <summary>JSON object for the session, when it is created.</summary>
    public string? SessionMetadata { get; init; }

    /// <summary>JSON object for the answer.</summary>
    public string? Metadata { get; init; }

    /// <summary>JSON object: parameters that readers of the answer see again.</summary>
    public string? Parameters { get; init; }

    /// <summary>The client's own key for this request.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>SHA-256 of what makes two requests the same; null when nobody asks.</summary>
    public byte[]? Hash { get; init; }

    /// <summary>True when the client says that it repeats itself (<c>x-stainless-retry-count</c> above 0).</summary>
    public bool IsRepeated { get; init; }

    /// <summary>True when the client says that it does not (<c>x-stainless-retry-count: 0</c>).</summary>
    public bool IsFirst { get; init; }

    public MultitaskRule Multitask { get; init; }

    /// <summary>False: the model is stopped when nobody listens any more.</summary>
    public bool ContinueWithoutClient { get; init; }

    /// <summary>How long a client that left may take to come back, before that.</summary>
    public TimeSpan DisconnectGrace { get; init; }

    /// <summary>The caller's requests with this text are the same one.</summary>
    public string? Fingerprint => Hash is null ? null : Convert.ToHexString(Hash);

    public void Dispose() => Completion.Dispose();
}
