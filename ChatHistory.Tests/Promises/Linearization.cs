using System.Numerics;

namespace ChatHistory.Tests.Promises;

/// <summary>One call of a concurrent history: when it began and ended, what was answered, and what the model makes of it.</summary>
/// <param name="Began">A number that counts begins and ends of all calls.</param>
internal sealed record RecordedCall(string Name, long Began, long Ended, string Answer, Func<SessionModel, (SessionModel, string)> Model)
{
    public override string ToString() => $"{Began,3}-{Ended,3} {Name} => {Answer}";
}

/// <summary>
/// Wing and Gong's search, with Lowe's memory of what was tried (doi 10.1002/cpe.3928): is there one order of the calls, in which none stands before one that had ended
/// before it began, and the model gives each the answer that it got?
/// </summary>
internal static class Linearization
{
    public static bool Exists(SessionModel start, IReadOnlyList<RecordedCall> calls)
    {
        Assert.InRange(calls.Count, 1, 63);
        return Search(start, calls, left: (1UL << calls.Count) - 1, []);
    }

    private static bool Search(SessionModel state, IReadOnlyList<RecordedCall> calls, ulong left, HashSet<(ulong, string)> tried)
    {
        if (left == 0)
        {
            return true;
        }

        if (!tried.Add((left, state.Fingerprint())))
        {
            return false;
        }

        var firstEnd = long.MaxValue;
        for (var rest = left; rest != 0; rest &= rest - 1)
        {
            firstEnd = Math.Min(firstEnd, calls[BitOperations.TrailingZeroCount(rest)].Ended);
        }

        for (var rest = left; rest != 0; rest &= rest - 1)
        {
            var index = BitOperations.TrailingZeroCount(rest);
            var call = calls[index];
            if (call.Began < firstEnd)
            {
                var (next, answer) = call.Model(state);
                if (answer == call.Answer && Search(next, calls, left & ~(1UL << index), tried))
                {
                    return true;
                }
            }
        }

        return false;
    }
}
