using System.Text.Json.Serialization;
using Grpc.Core;

namespace ChatHistory.Gateway.Errors;

/// <summary>
/// One error as OpenAI clients read it: <c>{"error":{"message","type","param","code"}}</c>, always all four keys
/// (openai-openapi, ErrorResponse), with the status that SDKs map to their exception classes.
/// </summary>
/// <param name="Status">HTTP status code.</param>
/// <param name="Type">OpenAI's class of error, see <see cref="ErrorTypes"/>.</param>
/// <param name="Code">Stable name of the error for programs, e.g. <c>session_not_found</c>; null where OpenAI has none.</param>
/// <param name="Message">What is wrong, where, and the remedy; for people.</param>
/// <param name="Param">The request's field or parameter at fault, when there is one.</param>
internal sealed record OpenAIError(int Status, string Type, string? Code, string Message, string? Param = null)
{
    /// <summary>Seconds after which a repetition makes sense; sent as <c>Retry-After</c>.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>The same, where seconds are too coarse: sent as <c>Retry-After</c> and, in milliseconds, as <c>retry-after-ms</c>, which SDKs look for first.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>False tells the official SDKs not to repeat the request by themselves (<c>x-should-retry</c>).</summary>
    public bool? ShouldRetry { get; init; }

    /// <summary>True where nothing more can be asked on the connection (<c>Connection: close</c>): a client that is not told would send its next request into it.</summary>
    public bool EndsConnection { get; init; }

    public ErrorEnvelope ToEnvelope() => new(new ErrorBody(Message, Type, Param, Code));

    public static OpenAIError InvalidRequest(string message, string? param = null, string code = "invalid_request") =>
        new(StatusCodes.Status400BadRequest, ErrorTypes.InvalidRequest, code, message, param);

    public static OpenAIError UnsupportedMediaType() =>
        new(StatusCodes.Status415UnsupportedMediaType, ErrorTypes.InvalidRequest, "unsupported_media_type",
            "The body must be JSON, with the header Content-Type: application/json.");

    public static OpenAIError SessionNotFound(string sessionId) =>
        new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "session_not_found",
            $"No session '{sessionId}'. List yours with GET /v1/sessions, or create one with POST /v1/sessions.", "session_id");

    public static OpenAIError MessageNotFound(string messageId, string param = "message_id") =>
        new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "message_not_found",
            $"No message '{messageId}' here. A session's messages are listed by GET /v1/sessions/{{session_id}}/messages.", param);

    public static OpenAIError ConversationNotFound(string conversationId) =>
        new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "conversation_not_found",
            $"Conversation with id '{conversationId}' not found. Create one with POST /v1/conversations.", "conversation");

    public static OpenAIError ItemNotFound(string itemId) =>
        new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "item_not_found",
            $"Item with id '{itemId}' not found. A conversation's items are listed by GET /v1/conversations/{{conversation_id}}/items.", "item_id");

    public static OpenAIError CompletionNotFound(string completionId) =>
        new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "completion_not_found",
            $"No stored chat completion '{completionId}'. Stored ones are listed by GET /v1/chat/completions.", "completion_id");

    public static OpenAIError ResponseNotFound(string responseId) =>
        new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "response_not_found",
            $"Response with id '{responseId}' not found. Responses that were created with \"store\": false are not kept.", "response_id");

    public static OpenAIError UserNotFound(string userId) =>
        new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "user_not_found", $"No user '{userId}'.", "user_id");

    public static OpenAIError StorageUnavailable() =>
        new(StatusCodes.Status503ServiceUnavailable, ErrorTypes.Server, "storage_unavailable",
            "The history cannot be written or read at the moment, so the request was not carried out. Try again shortly; "
            + "a completion that need not be kept can be asked for with \"store\": false.")
        {
            RetryAfterSeconds = 1,
        };

    public static OpenAIError StorageFull() =>
        new(StatusCodes.Status507InsufficientStorage, ErrorTypes.Server, "storage_full",
            "The disk that holds the history is full, so nothing was stored. What is stored can be read and deleted: free space on that disk, or delete sessions. "
            + "A completion that need not be kept can be asked for with \"store\": false.")
        {
            RetryAfterSeconds = 5,
        };

    public static OpenAIError SessionBusy(string sessionId) =>
        new(StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "session_busy",
            $"Session '{sessionId}' is still answering earlier turns. Wait for them to end, or stop them, then send this one again.", "session_id")
        {
            ShouldRetry = false,
        };

    /// <summary>Why the storage service did not make, find, verify or restore a backup.</summary>
    public static OpenAIError Backup(StatusCode status, string sentence, string requestId) => status switch
    {
        StatusCode.NotFound => new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "backup_not_found", $"{sentence} List them with GET /admin/backups.", "backup_name"),
        StatusCode.Aborted => new(StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "backup_busy", sentence) { RetryAfterSeconds = 10 },
        StatusCode.FailedPrecondition => new(StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "backup_refused", sentence) { ShouldRetry = false },
        StatusCode.DataLoss => new(StatusCodes.Status422UnprocessableEntity, ErrorTypes.InvalidRequest, "backup_damaged", sentence),
        StatusCode.ResourceExhausted => new(StatusCodes.Status507InsufficientStorage, ErrorTypes.Server, "no_room_for_backup", sentence),
        StatusCode.Internal => new(StatusCodes.Status500InternalServerError, ErrorTypes.Server, "backup_failed", sentence),
        _ => Internal(requestId),
    };

    public static OpenAIError Internal(string requestId) =>
        new(StatusCodes.Status500InternalServerError, ErrorTypes.Server, "internal_error",
            $"The gateway failed on this request. The log has the details under request id {requestId}.");
}

/// <summary>OpenAI's classes of errors.</summary>
internal static class ErrorTypes
{
    public const string InvalidRequest = "invalid_request_error";
    public const string Permission = "permission_error";
    public const string RateLimit = "rate_limit_error";
    public const string Server = "server_error";
}

internal sealed record ErrorEnvelope([property: JsonPropertyName("error")] ErrorBody Error);

internal sealed record ErrorBody(
    [property: JsonPropertyName("message")] string Message,
    [property: JsonPropertyName("type")] string Type,
    [property: JsonPropertyName("param")] string? Param,
    [property: JsonPropertyName("code")] string? Code);

[JsonSerializable(typeof(ErrorEnvelope))]
internal sealed partial class ErrorsJsonContext : JsonSerializerContext
{
    public static ErrorsJsonContext Wire { get; } = new(WireJson.Options);
}
