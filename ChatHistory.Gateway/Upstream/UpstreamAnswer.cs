using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Upstream;

/// <summary>What came of a call to the model server: exactly one of an answer's headers, an error, or neither because the call was given up.</summary>
internal readonly struct UpstreamAnswer
{
    private UpstreamAnswer(HttpResponseMessage? response, OpenAIError? error, Exception? exception)
    {
        Response = response;
        Error = error;
        Exception = exception;
    }

    /// <summary>Given up by the caller's token.</summary>
    public static UpstreamAnswer Stopped => default;

    /// <summary>Headers of any status; the body is still to be read.</summary>
    public HttpResponseMessage? Response { get; }

    public OpenAIError? Error { get; }

    /// <summary>What stands behind <see cref="Error"/>, for the log.</summary>
    public Exception? Exception { get; }

    public static UpstreamAnswer Of(HttpResponseMessage response) => new(response, null, null);

    public static UpstreamAnswer Of(OpenAIError error, Exception exception) => new(null, error, exception);
}
