using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Context;

/// <summary>
/// Decides how much of a long history is left out. Pure: it is told how many tokens a prompt has.
/// </summary>
/// <remarks>
/// <code>
///   system │ user assistant │ user assistant(calls) tool assistant │ user assistant ║ user
///    kept  ▲       turn     ▲                turn                  ▲      turn      ▲ new, kept
///          0                2                                      6                8          where it may be cut
/// </code>
/// <list type="bullet">
/// <item>Whole turns only: a turn begins at a user message that follows another's. Instructions at the front, and what is new, always stay.</item>
/// <item>Never between a tool call and its result.</item>
/// <item>With hysteresis: what the turn before left out stays left out as long as it fits. When it does not, so much goes that 70 % of the room are
/// filled. So the prompt begins with the same words for many turns, and the model server finds them in its prefix cache. One turn at a time would
/// move the beginning with every request, and each would be computed anew.</item>
/// </list>
/// </remarks>
internal sealed class ContextWindow
{
    private const double FilledAfterCut = 0.7;

    private readonly int[] _cuts;
    private readonly long[] _sizes;
    private readonly int[] _uncounted;

    private ContextWindow(int[] cuts, long[] sizes, int[] uncounted)
    {
        _cuts = cuts;
        _sizes = sizes;
        _uncounted = uncounted;
    }

    /// <summary>How many messages, counted from behind the instructions, may be left out: 0 first, ascending.</summary>
    public IReadOnlyList<int> Cuts => _cuts;

    /// <param name="history">The stored messages, oldest first.</param>
    /// <param name="added">The request's own messages.</param>
    /// <param name="around">The size of what goes with every prompt beside the messages: tools.</param>
    public static ContextWindow Of(IReadOnlyList<MessageContent> history, IReadOnlyList<MessageContent> added, long around = 0)
    {
        var newInstructions = added.TakeWhile(IsInstruction).Sum(MessageSize.Of);
        var oldInstructions = history.TakeWhile(IsInstruction).Sum(MessageSize.Of);
        var stored = history.SkipWhile(IsInstruction).ToArray();
        var all = stored.Concat(added.SkipWhile(IsInstruction)).ToArray();

        var cuts = new List<int> { 0 };
        var split = SplitsPair(all);
        for (var i = 1; i <= stored.Length && i < all.Length; i++)
        {
            if (all[i].Role == "user" && all[i - 1].Role != "user" && !split[i])
            {
                cuts.Add(i);
            }
        }

        // Once for each: for parts that are no text, their JSON has to be read.
        var uncountedOf = Array.ConvertAll(all, MessageSize.Uncounted);
        var sizeOf = Array.ConvertAll(all, MessageSize.OfText);
        // Instructions of the request take the place of the stored ones (UpstreamBody).
        var rest = around + (newInstructions > 0 ? newInstructions : oldInstructions) + sizeOf.Sum() + uncountedOf.Sum();
        var uncounted = uncountedOf.Sum();
        var sizes = new long[cuts.Count];
        var uncountedAt = new int[cuts.Count];
        for (var (i, left) = (0, 0); i < sizes.Length; i++)
        {
            for (; left < cuts[i]; left++)
            {
                rest -= sizeOf[left] + uncountedOf[left];
                uncounted -= uncountedOf[left];
            }

            (sizes[i], uncountedAt[i]) = (rest, uncounted);
        }

        return new ContextWindow([.. cuts], sizes, uncountedAt);
    }

    /// <summary>What the turn before left out; if that is no place to cut (any more), the next one behind it.</summary>
    public int From(int previous)
    {
        var next = Array.FindIndex(_cuts, cut => cut >= previous);
        return next >= 0 ? _cuts[next] : _cuts[^1];
    }

    /// <summary>The size of the prompt (<see cref="MessageSize"/>) with so much left out.</summary>
    public long SizeAt(int omitted) => _sizes[Array.IndexOf(_cuts, omitted)];

    /// <summary>Tokens of that prompt that <c>/tokenize</c> does not count.</summary>
    public int UncountedAt(int omitted) => _uncounted[Array.IndexOf(_cuts, omitted)];

    /// <summary>How many messages to leave out.</summary>
    /// <param name="previous">How many the turn before left out.</param>
    /// <param name="budget">How many tokens the prompt may have.</param>
    /// <param name="count">Counts the prompt's tokens with so many left out.</param>
    /// <returns>At least as many as before. If even the newest turn is too long, as many as before: the model server then says how much too long.</returns>
    public async ValueTask<int> FitAsync(int previous, int budget, Func<int, ValueTask<int>> count)
    {
        var start = From(previous);
        for (var omitted = start; ;)
        {
            var tokens = await count(omitted);
            if (tokens <= budget)
            {
                return omitted;
            }

            if (omitted == _cuts[^1])
            {
                return start;
            }

            omitted = Next(omitted, tokens, budget);
        }
    }

    /// <summary>The next place to cut, when a prompt turned out too long: what is left is taken to have its share of the tokens.</summary>
    private int Next(int omitted, int tokens, int budget)
    {
        var index = Array.IndexOf(_cuts, omitted);
        var perSize = (double)tokens / Math.Max(1, _sizes[index]);
        var next = Array.FindIndex(_sizes, index + 1, size => size * perSize <= budget * FilledAfterCut);
        return next >= 0 ? _cuts[next] : _cuts[^1];
    }

    /// <summary>Element i: a cut before message i would part a tool call from its result.</summary>
    private static bool[] SplitsPair(MessageContent[] messages)
    {
        var split = new bool[messages.Length + 1];
        var calls = new Dictionary<string, int>();
        var early = new Dictionary<string, int>();
        for (var i = 0; i < messages.Length; i++)
        {
            foreach (var id in ToolCalls.Ids(messages[i]))
            {
                calls[id] = i;
                if (early.Remove(id, out var result))
                {
                    Array.Fill(split, true, result + 1, i - result);
                }
            }

            if (messages[i].Role == "tool")
            {
                if (calls.TryGetValue(messages[i].ToolCallId, out var call))
                {
                    Array.Fill(split, true, call + 1, i - call);
                }
                else
                {
                    early.TryAdd(messages[i].ToolCallId, i);
                }
            }
        }

        return split;
    }

    public static bool IsInstruction(MessageContent message) => message.Role is "system" or "developer";
}
