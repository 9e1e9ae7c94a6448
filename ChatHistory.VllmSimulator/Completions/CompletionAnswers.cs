using System.Globalization;
using System.Text;
using ChatHistory.VllmSimulator.ChatCompletions;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.Completions;

/// <summary>The texts of one completion: n for each prompt, as vLLM numbers them. Pure.</summary>
/// <remarks><code> and so on, said the simulated model after {prompt tokens} tokens, seed {seed}.</code> With <c>echo</c> the prompt goes before it.</remarks>
internal static class CompletionAnswers
{
    public static Answer[] Compose(CompletionRequest request, Script script)
    {
        var n = request.N ?? 1;
        var answers = new Answer[request.Prompt.Texts.Count * n];
        for (var i = 0; i < answers.Length; i++)
        {
            var seed = unchecked((script.Seed ?? request.Seed ?? 0) + (i % n));
            answers[i] = Compose(request, script.Directive, request.Prompt.Texts[i / n], seed);
        }

        return answers;
    }

    public static string Text(ReadOnlySpan<byte> prompt, long seed) => string.Create(
        CultureInfo.InvariantCulture,
        $" and so on, said the simulated model after {SimulatorTokenizer.Count(prompt)} tokens, seed {seed}.");

    /// <summary>Log probabilities of one token, or of a whole answer's tokens from <paramref name="offset"/> characters on.</summary>
    public static CompletionLogprobs Logprobs(IEnumerable<ReadOnlyMemory<byte>> tokens, int alternatives, int offset)
    {
        var (offsets, logprobs, texts, top) = (new List<int>(), new List<double>(), new List<string>(), new List<Dictionary<string, double>>());
        foreach (var token in tokens)
        {
            var text = SimulatorTokenizer.Text(token.Span);
            var logprob = ChatLogprobs.LogprobOf(token.Span);
            offsets.Add(offset);
            logprobs.Add(logprob);
            texts.Add(text);
            top.Add(Enumerable.Range(1, Math.Clamp(alternatives, 0, 20)).Aggregate(
                new Dictionary<string, double> { [text] = logprob },
                (found, i) =>
                {
                    found.TryAdd($" {(char)('a' + i)}", ChatLogprobs.AlternativeTo(logprob, i));
                    return found;
                }));
            offset += text.Length;
        }

        return new(offsets, logprobs, texts, top);
    }

    private static Answer Compose(CompletionRequest request, Directive directive, byte[] prompt, long seed)
    {
        var text = Encoding.UTF8.GetBytes(directive.Text ?? Text(prompt, seed));
        var segment = new Segment(SegmentKind.Content, directive.Tokens is { } tokens ? Filler.Resize(text, tokens) : text);
        return Answer.Cut([segment], request.MaxTokens ?? CompletionRequest.DefaultMaxTokens, request.Stop ?? [], request.IncludeStopStrInOutput ?? false);
    }
}
