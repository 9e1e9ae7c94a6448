using ChatHistory.Gateway.Errors;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Storage;

/// <summary>What a refused write means to a client.</summary>
internal static class Refused
{
    public static OpenAIError ToError(Refusal refusal, string sessionId) => refusal.Reason switch
    {
        Refusal.Types.Reason.SessionNotFound => OpenAIError.SessionNotFound(sessionId),
        Refusal.Types.Reason.Invalid => OpenAIError.InvalidRequest(refusal.Detail),
        _ => OpenAIError.StorageUnavailable(),
    };
}
