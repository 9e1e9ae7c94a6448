using System.Globalization;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.RateLimits;

/// <summary>
/// What a key that wants too much is told. OpenAI's codes: <c>rate_limit_exceeded</c>, which SDKs try again by themselves after Retry-After, and
/// <c>insufficient_quota</c>, which they are told not to.
/// </summary>
internal static class RateLimitErrors
{
    private const string Remedy = "The limit is the key's: an administrator can change it with PATCH /admin/keys/{key_id}.";

    public static OpenAIErrorException Requests(long limit, TimeSpan wait) => Exceeded(
        "requests", $"Rate limit reached: at most {Text(limit)} requests per minute. Try again in {Duration(wait)}. {Remedy}", wait);

    public static OpenAIErrorException Tokens(long limit, long wanted, TimeSpan wait) => Exceeded(
        "tokens", $"Rate limit reached: at most {Text(limit)} tokens per minute, and this request may need {Text(wanted)}. Try again in {Duration(wait)}. {Remedy}", wait);

    public static OpenAIErrorException TooLarge(long limit, long wanted) => new(new OpenAIError(
        StatusCodes.Status429TooManyRequests, "tokens", "rate_limit_exceeded",
        $"Request too large: at most {Text(limit)} tokens per minute, and this request may need {Text(wanted)} (prompt and max_tokens). Send less, or ask for less. {Remedy}")
    {
        ShouldRetry = false,
    });

    public static OpenAIErrorException Turns(long limit) => Exceeded(
        "requests", $"Rate limit reached: at most {Text(limit)} answers at the same time. Wait for one of them to end. {Remedy}", TimeSpan.FromSeconds(1));

    public static OpenAIErrorException Quota(string period, long limit, DateTimeOffset renewed) => new(new OpenAIError(
        StatusCodes.Status429TooManyRequests, "insufficient_quota", "insufficient_quota",
        $"The quota of {Text(limit)} tokens per {period} is used up. It begins anew at {renewed.UtcDateTime:yyyy-MM-dd} 00:00 UTC. {Remedy}")
    {
        ShouldRetry = false,
    });

    public static OpenAIError StoredBytes() => new(
        StatusCodes.Status429TooManyRequests, "insufficient_quota", "insufficient_quota",
        "As much is stored of this user as may be, so nothing was stored and no model was asked. Delete sessions (DELETE /v1/sessions/{session_id}), send \"store\": false, "
        + "or have stored_bytes raised with PATCH /admin/keys/{key_id}.")
    {
        ShouldRetry = false,
    };

    /// <summary>As OpenAI writes it: <c>20ms</c>, <c>1s</c>, <c>6m0s</c>, <c>2h3m4s</c>.</summary>
    public static string Duration(TimeSpan span)
    {
        if (span < TimeSpan.FromSeconds(1))
        {
            return $"{Text((long)Math.Ceiling(span.TotalMilliseconds))}ms";
        }

        var seconds = (long)Math.Ceiling(span.TotalSeconds);
        var (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        return (hours > 0 ? $"{Text(hours)}h" : "") + (seconds >= 60 ? $"{Text(minutes)}m" : "") + $"{Text(seconds % 60)}s";
    }

    private static OpenAIErrorException Exceeded(string type, string message, TimeSpan wait) => new(
        new OpenAIError(StatusCodes.Status429TooManyRequests, type, "rate_limit_exceeded", message) { RetryAfter = wait });

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
