using ChatHistory.Gateway.Errors;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Relay;

/// <summary>How the relaying of an answer ended.</summary>
internal enum RelayOutcome
{
    /// <summary>The whole answer arrived.</summary>
    Completed,

    /// <summary>Everybody who wanted the answer went away first; the model was stopped.</summary>
    ClientLeft,

    /// <summary>Somebody asked to stop; what had arrived is the answer.</summary>
    StopAsked,

    /// <summary>The answer reached <c>Vllm:MaxAnswerBytes</c> or <c>Vllm:MaxAnswerTime</c>; it ends there as at a token limit.</summary>
    LimitReached,

    /// <summary>Another turn of the session took its place (<c>multitask: interrupt</c>).</summary>
    Interrupted,

    /// <summary>The model server refused, failed, broke off or answered something that is no completion.</summary>
    UpstreamFailed,

    /// <summary>The model server fell silent for longer than <c>Vllm:IdleTimeout</c>.</summary>
    UpstreamIdle,

    /// <summary>The gateway is stopping and the answer did not end within the grace time.</summary>
    ShuttingDown,
}

/// <summary>The outcome as a value, with the error to tell the client when there is one, and the exception behind it for the log.</summary>
internal sealed record RelayResult(RelayOutcome Outcome, OpenAIError? Error = null, Exception? Exception = null)
{
    public static RelayResult Completed { get; } = new(RelayOutcome.Completed);

    public static RelayResult ClientLeft { get; } = new(RelayOutcome.ClientLeft);

    public static RelayResult StopAsked { get; } = new(RelayOutcome.StopAsked);

    public static RelayResult LimitReached { get; } = new(RelayOutcome.LimitReached);

    public static RelayResult Interrupted { get; } = new(
        RelayOutcome.Interrupted,
        new OpenAIError(StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "interrupted",
            "Another turn of this session asked to take the place of this one (multitask: interrupt). What had arrived of the answer is kept.")
        {
            ShouldRetry = false,
        });

    public static RelayResult ShuttingDown { get; } = new(
        RelayOutcome.ShuttingDown,
        new OpenAIError(StatusCodes.Status503ServiceUnavailable, ErrorTypes.Server, "shutting_down",
            "The gateway is being stopped. What had arrived of the answer is kept in the history.")
        {
            RetryAfterSeconds = 5,
        });

    /// <summary>True when its client gets it as an answer that is over, not as an error.</summary>
    public bool IsAnswer => Outcome is RelayOutcome.Completed or RelayOutcome.StopAsked or RelayOutcome.LimitReached;

    public static RelayResult Failed(OpenAIError error, Exception? exception = null) => new(RelayOutcome.UpstreamFailed, error, exception);

    public static RelayResult Idle(OpenAIError error) => new(RelayOutcome.UpstreamIdle, error);

    /// <summary>Why a choice ended; one that was still going on at the gateway's limit ended as at the model's.</summary>
    public string? FinishReasonOf(ChoiceAccumulator? choice) => choice?.FinishReason ?? (Outcome == RelayOutcome.LimitReached ? "length" : null);

    /// <summary>The status that the stored answer gets.</summary>
    public TurnStatus ToStatus(string? finishReason) => Outcome switch
    {
        RelayOutcome.Completed => finishReason == "length" ? TurnStatus.Incomplete : TurnStatus.Completed,
        RelayOutcome.LimitReached => TurnStatus.Incomplete,
        RelayOutcome.ClientLeft or RelayOutcome.StopAsked or RelayOutcome.Interrupted => TurnStatus.Cancelled,
        RelayOutcome.ShuttingDown => TurnStatus.Interrupted,
        _ => TurnStatus.Failed,
    };

    /// <summary>What is stored beside a status other than completed.</summary>
    public TurnError? ToTurnError() => Outcome switch
    {
        RelayOutcome.Completed or RelayOutcome.LimitReached => null,
        RelayOutcome.ClientLeft => new TurnError { Code = "client_disconnected", Message = "The client closed the connection before the answer was complete." },
        RelayOutcome.StopAsked => new TurnError { Code = "stopped", Message = "The answer was stopped on request." },
        _ => new TurnError { Code = Error?.Code ?? "upstream_error", Message = Error?.Message ?? "" },
    };
}
