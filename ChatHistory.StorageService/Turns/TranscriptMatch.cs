using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;

namespace ChatHistory.StorageService.Turns;

/// <summary>Finds the stored path that a whole conversation continues, by hash: one look-up per message that is new, one for the rest.</summary>
/// <remarks>
/// <list type="number">
/// <item>The longest beginning of the conversation that is stored. Every stored message has the hash of its whole path, and the chain begins with
/// the owner: equal hashes are equal conversations of the same owner.</item>
/// <item>Behind it, an answer of which the client holds only the beginning, because it left before the end. The stored row is longer; it is the
/// same answer all the same. (What follows is chained to what the client holds, so that its next request is found at once.)</item>
/// <item>A beginning without any answer in it proves nothing: many conversations begin with "Hello". It counts only when nothing was answered
/// there yet, as after a failure; then it is the same question again.</item>
/// <item>A conversation that is stored as a whole is a regeneration; but not while another one that is the same up to its last answer waits for
/// its next question, and was answered after that question had been asked: then it is that one that goes on.</item>
/// </list>
/// Of several equal paths the one that nobody has continued is taken, else the newest: the conversations are the same until then, so no
/// choice is wrong, and two clients that say the same for a while still get a session each.
/// </remarks>
internal static class TranscriptMatch
{
    // A question that failed is asked again soon. Thousands of chats may begin alike, and the writer looks at each of these.
    private const int NewestOnly = 4;

    /// <param name="database">The writer's connection.</param>
    /// <param name="origin">Before the first message: the owner's hash.</param>
    /// <param name="input">The conversation.</param>
    /// <param name="sessionId">The only session to look in; null for all of the owner's.</param>
    /// <param name="askedAfter">A question that was stored after this time may be the same one although it is answered: its client
    /// says that it repeats itself. Null: it does not.</param>
    /// <returns>Where the new part of the conversation goes; null when nothing of it is stored.</returns>
    public static (StoredMessage Parent, byte[]? Hash, int AlreadyStored)? Find(
        PreparedConnection database, TurnStart origin, IReadOnlyList<NewMessage> input, string? sessionId, string? askedAfter)
    {
        var chain = origin.Chain(input);
        for (var count = input.Count; count > 0; count--)
        {
            if (chain[count - 1] is not { } hash || StoredMessage.FindByHash(database, hash, sessionId) is not { Count: > 0 } candidates)
            {
                continue;
            }

            // Step 2: an answer that the client knows only in part.
            if (count < input.Count && input[count].Content is { Role: "assistant", HasToolCalls: false } known
                && candidates.Select(candidate => candidate.FindCutAnswer(database, known.Content.TrimEnd())).FirstOrDefault(answer => answer is not null) is { } cut)
            {
                return (cut, chain[count], count + 1);
            }

            // Step 3: what the beginning proves.
            var hasAnswer = input.Take(count).Any(message => message.Content.Role == "assistant");
            if (hasAnswer || sessionId is not null)
            {
                var found = candidates.FirstOrDefault(candidate => !candidate.HasFollower(database)) ?? candidates[0];
                return count == input.Count && sessionId is null && askedAfter is null && FindWaiting(database, found, input, chain) is { } waiting
                    ? waiting
                    : (found, hash, count);
            }

            var same = candidates.Take(NewestOnly).FirstOrDefault(candidate =>
                candidate.IsUnanswered(database) || (askedAfter is not null && string.CompareOrdinal(candidate.CreatedAt, askedAfter) > 0));
            return same is null ? null : (same, hash, count);
        }

        return null;
    }

    /// <summary>Step 4: the end of an equal conversation that waits for the question which was found elsewhere.</summary>
    private static (StoredMessage Parent, byte[]? Hash, int AlreadyStored)? FindWaiting(
        PreparedConnection database, StoredMessage question, IReadOnlyList<NewMessage> input, byte[]?[] chain)
    {
        var count = input.Count;
        while (count > 0 && input[count - 1].Content.Role != "assistant")
        {
            count--;
        }

        if (count == 0 || count == input.Count || chain[count - 1] is not { } hash)
        {
            return null;
        }

        // Nobody regenerates what is being answered.
        var isBeingAnswered = question.FindAnswer(database)?.Status == MessageStatus.InProgress;
        var waiting = StoredMessage.FindByHash(database, hash, sessionId: null).FirstOrDefault(answer =>
            (isBeingAnswered || string.CompareOrdinal(answer.CreatedAt, question.CreatedAt) > 0) && !answer.HasFollower(database));
        return waiting is null ? null : (waiting, hash, count);
    }
}
