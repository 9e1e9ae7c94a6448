using System.Globalization;
using System.Net;
using System.Text.Json;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Upstream;

/// <summary>The model server's failures as OpenAI errors.</summary>
internal static class UpstreamErrors
{
    private const int MaxErrorBytes = 64 * 1024;
    private const int RetryAfterSeconds = 5;

    public static OpenAIError Unreachable() =>
        new(StatusCodes.Status503ServiceUnavailable, ErrorTypes.Server, "upstream_unavailable",
            "The model server does not answer. It may still be loading its model; the history can be read meanwhile. Try again shortly.")
        {
            RetryAfterSeconds = RetryAfterSeconds,
        };

    public static OpenAIError TimedOut(TimeSpan limit) =>
        new(StatusCodes.Status504GatewayTimeout, ErrorTypes.Server, "upstream_timeout",
            string.Create(CultureInfo.InvariantCulture, $"The model server did not begin its answer within {limit.TotalSeconds:0.###} s."));

    public static OpenAIError Idle(TimeSpan limit) =>
        new(StatusCodes.Status504GatewayTimeout, ErrorTypes.Server, "upstream_timeout",
            string.Create(CultureInfo.InvariantCulture, $"The model server fell silent for {limit.TotalSeconds:0.###} s in the middle of its answer. What had arrived is kept in the history."));

    public static OpenAIError EndedEarly() =>
        new(StatusCodes.Status502BadGateway, ErrorTypes.Server, "upstream_ended_early",
            "The model server ended its answer before it was complete. What had arrived is kept in the history.");

    public static OpenAIError NotACompletion() =>
        new(StatusCodes.Status502BadGateway, ErrorTypes.Server, "upstream_invalid_response",
            "The model server's answer is no chat completion. Is VLLM_ENDPOINT an OpenAI-compatible server?");

    public static OpenAIError NotAList() => NotACompletion() with { Message = "The model server's answer is no list of models. Is VLLM_ENDPOINT an OpenAI-compatible server?" };

    /// <summary>What answered does not speak HTTP as a server should: a status line that is none, a head without an end.</summary>
    public static OpenAIError NotHttp() =>
        new(StatusCodes.Status502BadGateway, ErrorTypes.Server, "upstream_invalid_response",
            "What answered in the model server's place does not speak HTTP. Is VLLM_ENDPOINT the address of an OpenAI-compatible server?");

    /// <summary>The error for a call that ended before the answer's headers were read.</summary>
    public static OpenAIError Of(Exception? exception) =>
        exception is HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded } ? NotHttp() : Unreachable();

    public static OpenAIError TooLarge(long limit) =>
        new(StatusCodes.Status502BadGateway, ErrorTypes.Server, "upstream_response_too_large",
            $"The model server sent more than {limit} bytes where one message was expected (Vllm:MaxAnswerBytes).");

    /// <summary>An error that the model server reports in an answer of its own, in a body or in the middle of a stream.</summary>
    /// <param name="status">The answer's status; 200 for an error in the middle of a stream.</param>
    /// <param name="error">vLLM's object: <c>{"message","type","param","code":400}</c>; its code is a number, ours are names.</param>
    public static OpenAIError Reported(HttpStatusCode status, JsonElement error)
    {
        var message = Member(error, "message");
        if (message is null && error.ValueKind == JsonValueKind.String)
        {
            message = error.GetString();
        }

        var code = error.ValueKind == JsonValueKind.Object && error.TryGetProperty("code", out var value) ? value : default;
        var name = code.ValueKind == JsonValueKind.String ? UpstreamText.Name(code.GetString()) : null;
        if ((int)status < 400)
        {
            status = code.ValueKind == JsonValueKind.Number && code.TryGetInt32(out var number) && number is >= 400 and < 600
                ? (HttpStatusCode)number
                : HttpStatusCode.BadGateway;
        }

        // A client's mistake is explained in the model server's words. Its own failures are not: their texts have leaked internals before
        // (CVE-2026-22778).
        return (int)status is >= 400 and < 500
            ? OfClient(status, UpstreamText.Message(message), UpstreamText.Name(Member(error, "param")), name)
            : OfServer(status, name);
    }

    /// <summary>The error of an answer with a status of 400 or more; reads its body.</summary>
    /// <param name="limit">The longest to wait for that body: the status alone says most of it.</param>
    public static async Task<(OpenAIError Error, string Body)> ReadAsync(HttpResponseMessage response, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        using var timedOut = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timedOut.Token, cancellationToken);
        var body = await ReadLimitedAsync(response, either.Token);
        // The gateway's own key, which a server that quotes what it was sent would give away.
        if (response.RequestMessage?.Headers.Authorization?.Parameter is { Length: > 0 } key)
        {
            body = body.Replace(key, UpstreamText.LeftOut, StringComparison.Ordinal);
        }

        var error = Parsed(response.StatusCode, body);
        var retryAfter = response.Headers.RetryAfter?.Delta is { } delta ? (int?)Math.Max(1, (int)delta.TotalSeconds) : null;
        return (error with { RetryAfterSeconds = retryAfter ?? error.RetryAfterSeconds }, body);
    }

    /// <summary>The error without the gateway's own key for the model server, which that may have quoted.</summary>
    public static OpenAIError Without(this OpenAIError error, string? key) => string.IsNullOrEmpty(key)
        ? error
        : error with
        {
            Message = error.Message.Replace(key, UpstreamText.LeftOut, StringComparison.Ordinal),
            Param = error.Param?.Replace(key, UpstreamText.LeftOut, StringComparison.Ordinal),
            Code = error.Code?.Replace(key, UpstreamText.LeftOut, StringComparison.Ordinal),
        };

    private static OpenAIError Parsed(HttpStatusCode status, string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("error", out var error)
                ? Reported(status, error)
                // Before 0.10 vLLM answered {"object":"error","message":...}; FastAPI answers {"detail":...}.
                : Reported(status, document.RootElement);
        }
        catch (JsonException)
        {
            return Reported(status, default);
        }
    }

    private static OpenAIError OfClient(HttpStatusCode status, string? message, string? param, string? code) => status switch
    {
        HttpStatusCode.NotFound => new(404, ErrorTypes.InvalidRequest, code ?? "model_not_found", message ?? "The model server does not know this model.", param ?? "model"),
        HttpStatusCode.TooManyRequests => new(429, ErrorTypes.RateLimit, code ?? "rate_limit_exceeded", message ?? "The model server is busy.", param) { RetryAfterSeconds = RetryAfterSeconds },
        // The gateway's own key for the model server is wrong: nothing that the caller could mend.
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => new(502, ErrorTypes.Server, "upstream_authentication", "The model server refused the gateway's key. Set Vllm:ApiKey."),
        _ => new((int)status, ErrorTypes.InvalidRequest, code ?? CodeOf(message), message ?? $"The model server refused the request with status {(int)status}.", param),
    };

    private static OpenAIError OfServer(HttpStatusCode status, string? code) => status switch
    {
        HttpStatusCode.ServiceUnavailable => Unreachable(),
        HttpStatusCode.GatewayTimeout => new(504, ErrorTypes.Server, code ?? "upstream_timeout", "The model server ran out of time."),
        HttpStatusCode.InternalServerError => new(500, ErrorTypes.Server, code ?? "upstream_error", "The model server failed on this request."),
        _ => new(502, ErrorTypes.Server, code ?? "upstream_error", "The model server failed on this request."),
    };

    // vLLM has one type for every mistake; clients look for OpenAI's code to shorten their prompt.
    private static string CodeOf(string? message) =>
        message?.Contains("maximum context length", StringComparison.OrdinalIgnoreCase) == true ? "context_length_exceeded" : "invalid_request";

    private static string? Member(JsonElement error, string name) =>
        error.ValueKind == JsonValueKind.Object && error.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static async Task<string> ReadLimitedAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            var buffer = new byte[MaxErrorBytes];
            var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            return System.Text.Encoding.UTF8.GetString(buffer, 0, length);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException or OperationCanceledException)
        {
            // The status alone has to do.
            return "";
        }
    }
}
