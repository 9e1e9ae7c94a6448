using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.Embeddings;

/// <summary>
/// A vector of length 1 for a text: the sum of a fixed pseudo-random vector per token, case and leading space ignored.
/// Texts that share words lie close together, so that a search over them shows something.
/// </summary>
internal static class EmbeddingRule
{
    public static float[] Embed(ReadOnlySpan<byte> text, int dimensions)
    {
        var vector = new float[dimensions];
        Span<byte> word = stackalloc byte[SimulatorTokenizer.MaxTokenBytes];
        while (!text.IsEmpty)
        {
            var length = SimulatorTokenizer.NextTokenLength(text);
            Add(vector, Fnv.Append(Fnv.Start, Normalized(text[..length], word)));
            text = text[length..];
        }

        var norm = MathF.Sqrt(vector.Sum(value => value * value));
        if (norm == 0)
        {
            vector[0] = 1;
            return vector;
        }

        for (var i = 0; i < vector.Length; i++)
        {
            vector[i] /= norm;
        }

        return vector;
    }

    private static ReadOnlySpan<byte> Normalized(ReadOnlySpan<byte> token, Span<byte> word)
    {
        token = token.Length > 1 && token[0] == ' ' ? token[1..] : token;
        for (var i = 0; i < token.Length; i++)
        {
            word[i] = token[i] is >= (byte)'A' and <= (byte)'Z' ? (byte)(token[i] | 0x20) : token[i];
        }

        return word[..token.Length];
    }

    /// <summary>Adds numbers in [-1, 1) from SplitMix64.</summary>
    private static void Add(float[] vector, ulong state)
    {
        for (var i = 0; i < vector.Length; i++)
        {
            state = unchecked(state + 0x9E3779B97F4A7C15);
            var bits = state;
            bits = unchecked((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9);
            bits = unchecked((bits ^ (bits >> 27)) * 0x94D049BB133111EB);
            bits ^= bits >> 31;
            vector[i] += ((bits >> 40) / (float)(1 << 23)) - 1;
        }
    }
}
