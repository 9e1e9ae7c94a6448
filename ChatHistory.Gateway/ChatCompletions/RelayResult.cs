using ChatHistory.Gateway.Errors;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>How the relaying of an answer ended.</summary>
internal enum RelayOutcome
{
    /// <summary>The whole answer arrived.</summary>
    Completed,

    /// <summary>The client went away first; the model was stopped.</summary>
    ClientLeft,

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

    public static RelayResult ShuttingDown { get; } = new(
        RelayOutcome.ShuttingDown,
        new OpenAIError(StatusCodes.Status503ServiceUnavailable, ErrorTypes.Server, "shutting_down",
            "The gateway is being stopped. What had arrived of the answer is kept in the history.")
        {
            RetryAfterSeconds = 5,
        });

    public static RelayResult Failed(OpenAIError error, Exception? exception = null) => new(RelayOutcome.UpstreamFailed, error, exception);

    public static RelayResult Idle(OpenAIError error) => new(RelayOutcome.UpstreamIdle, error);

    /// <summary>The status that the stored answer gets.</summary>
    public TurnStatus ToStatus(string? finishReason) => Outcome switch
    {
        RelayOutcome.Completed => finishReason == "length" ? TurnStatus.Incomplete : TurnStatus.Completed,
        RelayOutcome.ClientLeft => TurnStatus.Cancelled,
        RelayOutcome.ShuttingDown => TurnStatus.Interrupted,
        _ => TurnStatus.Failed,
    };

    /// <summary>What is stored beside a status other than completed.</summary>
    public TurnError? ToTurnError() => Outcome switch
    {
        RelayOutcome.Completed => null,
        RelayOutcome.ClientLeft => new TurnError { Code = "client_disconnected", Message = "The client closed the connection before the answer was complete." },
        _ => new TurnError { Code = Error?.Code ?? "upstream_error", Message = Error?.Message ?? "" },
    };
}
