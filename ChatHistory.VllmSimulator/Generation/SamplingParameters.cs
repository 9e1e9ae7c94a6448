using System.Globalization;
using ChatHistory.VllmSimulator.Errors;

namespace ChatHistory.VllmSimulator.Generation;

/// <summary>What vLLM's <c>SamplingParams</c> refuses, for chat completions and completions alike.</summary>
internal static class SamplingParameters
{
    // vLLM's own default is 16384 (VLLM_MAX_N_SEQUENCES); no test needs it, and a typo should not cost a machine.
    private const int MaxChoices = 128;

    public static VllmError? Validate(int? n, double? temperature, double? topP, int? maxTokens, int minTokens) => (n, temperature, topP, maxTokens) switch
    {
        ( < 1, _, _, _) => Refused("n", $"n must be at least 1, got {n}."),
        ( > MaxChoices, _, _, _) => Refused("n", $"n must be at most {MaxChoices}, got {n}."),
        (_, < 0, _, _) => Refused("temperature", $"temperature must be non-negative, got {temperature}."),
        (_, _, <= 0 or > 1, _) => Refused("top_p", $"top_p must be in (0, 1], got {topP}."),
        (_, _, _, { } tokens) when tokens < minTokens => Refused("max_tokens", $"max_tokens must be at least {minTokens}, got {tokens}."),
        _ => null,
    };

    private static VllmError Refused(string param, FormattableString message) => VllmError.BadRequest(message.ToString(CultureInfo.InvariantCulture), param);
}

/// <summary>vLLM takes no name for its only model, and no other name than its own.</summary>
internal static class ModelName
{
    public static VllmError? Check(string? asked, string served) =>
        string.IsNullOrEmpty(asked) || asked == served ? null : VllmError.UnknownModel(asked);
}
