using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Context;

/// <summary>Fits stored history into the model's window. It asks the model server to count only when an estimate comes near the limit.</summary>
internal sealed class ContextFitter(TokenCounter counter, IOptions<ContextOptions> options)
{
    /// <summary>How many of the stored messages behind the instructions to leave out.</summary>
    /// <param name="window">Where they may be cut.</param>
    /// <param name="prompt">What is known of the prompt.</param>
    /// <param name="compose">The body for the model server with so many left out.</param>
    public async Task<int> FitAsync(ContextWindow window, PromptFacts prompt, Func<int, ReadOnlyMemory<byte>> compose, CancellationToken cancellationToken)
    {
        var from = window.From(prompt.PreviouslyOmitted);
        if (await counter.WindowOfAsync(prompt.Model, cancellationToken) is not { } tokens)
        {
            return from;
        }

        // A limit that is larger than the window is a mistake that the model server explains; no history need go for it.
        var budget = tokens - (prompt.AnswerLimit ?? Math.Min(options.Value.AnswerReserve, tokens / 4));
        return budget <= 0 ? from : await window.FitAsync(prompt.PreviouslyOmitted, budget, CountAsync);

        async ValueTask<int> CountAsync(int omitted)
        {
            // No more than this: an estimate that lies below the budget spares the question.
            var most = omitted == from && prompt.KnownTokens is { } known ? Math.Min(window.SizeAt(omitted), known + prompt.NewSize) : window.SizeAt(omitted);
            if (most <= budget)
            {
                return (int)most;
            }

            return await counter.CountChatAsync(compose(omitted), cancellationToken) is { } exact
                ? exact + window.UncountedAt(omitted)
                : (int)Math.Min(window.SizeAt(omitted) * TokensPerSize(), int.MaxValue);
        }

        // For servers that cannot count: what the last prompt had, or two bytes a token, which is more than any usual text has.
        double TokensPerSize() => prompt.KnownTokens is { } known && window.SizeAt(from) - prompt.NewSize is > 0 and var size ? Math.Min(1, (double)known / size) : 0.5;
    }
}

/// <summary>What decides, beside the messages, whether a prompt fits.</summary>
/// <param name="Model">The model asked for; null for the default one.</param>
/// <param name="AnswerLimit">The request's own limit of the answer, in tokens.</param>
/// <param name="PreviouslyOmitted">How many messages the turn before left out.</param>
/// <param name="KnownTokens">Prompt and answer of the turn before, as the model server counted them; null when it did not.</param>
/// <param name="NewSize">The size (<see cref="MessageSize"/>) of what has come since: the request's messages, its tools.</param>
internal sealed record PromptFacts(string? Model, int? AnswerLimit, int PreviouslyOmitted, int? KnownTokens, long NewSize);
