using System.Text;
using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.Generation;

/// <summary>One choice, complete before its first token is sent.</summary>
/// <param name="Segments">In the order in which they are generated.</param>
/// <param name="FinishReason">As the engine sees it: <c>stop</c> or <c>length</c>.</param>
/// <param name="StopReason">The stop sequence that ended it.</param>
/// <param name="CompletionTokens">Tokens of all segments; the end-of-sequence token is not counted, unlike in vLLM.</param>
/// <param name="ReasoningTokens">Those of them that were reasoning.</param>
internal sealed record Answer(IReadOnlyList<Segment> Segments, string FinishReason, string? StopReason, int CompletionTokens, int ReasoningTokens)
{
    public const string Stop = "stop";
    public const string Length = "length";

    public bool HasToolCalls => Segments.Any(segment => segment.Kind is SegmentKind.ToolCall);

    /// <summary>Cuts the content at the first stop sequence, then everything at <paramref name="maxTokens"/>.</summary>
    public static Answer Cut(IReadOnlyList<Segment> segments, int maxTokens, IReadOnlyList<string> stop, bool includeStop)
    {
        var (kept, stopReason) = CutAtStop(segments, stop, includeStop);
        var (total, reasoning) = (0, 0);
        for (var i = 0; i < kept.Count; i++)
        {
            var tokens = kept[i].CountTokens();
            if (total + tokens > maxTokens)
            {
                tokens = maxTokens - total;
                kept = [.. kept.Take(i), .. Shortened(kept[i], tokens)];
                return new(kept, Length, null, maxTokens, reasoning + ReasoningOf(tokens));
            }

            total += tokens;
            reasoning += ReasoningOf(tokens);

            int ReasoningOf(int count) => segments[i].Kind is SegmentKind.Reasoning ? count : 0;
        }

        return new(kept, Stop, stopReason, total, reasoning);
    }

    private static IEnumerable<Segment> Shortened(Segment segment, int tokens)
    {
        if (tokens > 0)
        {
            yield return segment with { Text = segment.Text[..SimulatorTokenizer.LengthOf(segment.Text.Span, tokens - segment.HeadTokens)] };
        }
    }

    private static (IReadOnlyList<Segment> Kept, string? StopReason) CutAtStop(IReadOnlyList<Segment> segments, IReadOnlyList<string> stop, bool includeStop)
    {
        if (stop.Count == 0)
        {
            return (segments, null);
        }

        for (var i = 0; i < segments.Count; i++)
        {
            if (segments[i].Kind is not SegmentKind.Content)
            {
                continue;
            }

            var (at, sequence) = FirstOf(segments[i].Text.Span, stop);
            if (sequence is not null)
            {
                var end = includeStop ? at + Encoding.UTF8.GetByteCount(sequence) : at;
                return ([.. segments.Take(i), segments[i] with { Text = segments[i].Text[..end] }], sequence);
            }
        }

        return (segments, null);
    }

    private static (int At, string? Sequence) FirstOf(ReadOnlySpan<byte> text, IReadOnlyList<string> stop)
    {
        var (first, found) = (int.MaxValue, (string?)null);
        foreach (var sequence in stop)
        {
            var at = sequence.Length == 0 ? -1 : text.IndexOf(Encoding.UTF8.GetBytes(sequence));
            if (at >= 0 && at < first)
            {
                (first, found) = (at, sequence);
            }
        }

        return (first, found);
    }
}
