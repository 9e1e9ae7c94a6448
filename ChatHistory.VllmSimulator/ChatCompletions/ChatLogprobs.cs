using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>Log probabilities in the chat format, made from the token's hash: in (-1, 0] for the token, falling among its alternatives.</summary>
internal sealed record ChatLogprobs(IReadOnlyList<TokenLogprob> Content)
{
    // vLLM refuses more by its --max-logprobs.
    private const int MaxAlternatives = 20;

    public static ChatLogprobs Of(Answer answer, int alternatives)
    {
        var entries = new List<TokenLogprob>(answer.CompletionTokens);
        var cursor = new TokenCursor(answer, endless: false);
        while (cursor.MoveNext(out var token))
        {
            entries.Add(Entry(token, alternatives));
        }

        return new(entries);
    }

    public static ChatLogprobs Of(Token token, int alternatives) => new([Entry(token, alternatives)]);

    private static TokenLogprob Entry(Token token, int alternatives)
    {
        var logprob = LogprobOf(token.Text.Span);
        var top = new List<TopLogprob>();
        for (var i = 0; i < Math.Min(alternatives, MaxAlternatives); i++)
        {
            top.Add(i == 0 ? Top(token.Text.ToArray(), logprob) : Top([(byte)' ', (byte)('a' + i)], AlternativeTo(logprob, i)));
        }

        return new(SimulatorTokenizer.Text(token.Text.Span), logprob, Bytes(token.Text.Span), top);
    }

    private static TopLogprob Top(byte[] token, double logprob) => new(SimulatorTokenizer.Text(token), logprob, Bytes(token));

    /// <summary>A number that depends on the token alone, in thousandths.</summary>
    public static double LogprobOf(ReadOnlySpan<byte> token) => -(double)(Fnv.Append(Fnv.Start, token) % 1000) / 1000;

    /// <summary>Each alternative is a whole unit less likely than the one before.</summary>
    public static double AlternativeTo(double logprob, int rank) => Math.Round(logprob - rank, 3);

    private static int[] Bytes(ReadOnlySpan<byte> token)
    {
        var bytes = new int[token.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = token[i];
        }

        return bytes;
    }
}

/// <param name="Token">The token's text.</param>
/// <param name="Logprob">Its log probability.</param>
/// <param name="Bytes">Its bytes as numbers.</param>
/// <param name="TopLogprobs">The likeliest tokens in its place.</param>
internal sealed record TokenLogprob(string Token, double Logprob, int[] Bytes, IReadOnlyList<TopLogprob> TopLogprobs);

internal sealed record TopLogprob(string Token, double Logprob, int[] Bytes);
