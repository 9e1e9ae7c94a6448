using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.RateLimits;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Storage;

/// <summary>What a refused write means to a client.</summary>
internal static class Refused
{
    public static OpenAIError ToError(Refusal refusal, string sessionId, string messageId = "") => refusal.Reason switch
    {
        Refusal.Types.Reason.SessionNotFound => OpenAIError.SessionNotFound(sessionId),
        Refusal.Types.Reason.MessageNotFound when messageId.Length > 0 => OpenAIError.MessageNotFound(messageId, "parent_message_id"),
        Refusal.Types.Reason.KeyReused => OpenAIError.InvalidRequest(
            "The Idempotency-Key was used for a request with another body. A key stands for one request: take a new one for each.",
            "Idempotency-Key", "idempotency_key_reused"),
        Refusal.Types.Reason.QuotaExceeded => RateLimitErrors.StoredBytes(),
        Refusal.Types.Reason.Invalid => OpenAIError.InvalidRequest(refusal.Detail),
        Refusal.Types.Reason.StorageFull => OpenAIError.StorageFull(),
        _ => OpenAIError.StorageUnavailable(),
    };
}
