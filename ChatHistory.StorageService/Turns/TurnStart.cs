using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Messages;

namespace ChatHistory.StorageService.Turns;

/// <summary>Where in the tree a turn begins.</summary>
/// <param name="SessionId">The session that gets the new rows.</param>
/// <param name="UserId">Its owner.</param>
/// <param name="ParentId">The stored message that the first new row follows; null for the session's first.</param>
/// <param name="Hash">The chain's hash there; null when it is not known.</param>
/// <param name="LastSeq">The seq given last in the session.</param>
/// <param name="AlreadyStored">How many of the request's messages need no new row.</param>
internal sealed record TurnStart(string SessionId, string UserId, string? ParentId, byte[]? Hash, long LastSeq, int AlreadyStored = 0)
{
    /// <summary>The message before the request's new ones: the end of the history that goes before them in the prompt. Null: there is none.</summary>
    public string? HistoryEnd { get; init; }

    public static TurnStart AtHead(string sessionId, SessionHead head) =>
        new(sessionId, head.UserId, head.MessageId, head.HashBeforeNext, head.LastSeq) { HistoryEnd = head.MessageId };

    /// <summary>Further down: the request's next messages are stored, too.</summary>
    public TurnStart Past(StoredMessage message, byte[]? hash, int alreadyStored) =>
        this with { ParentId = message.MessageId, Hash = hash, AlreadyStored = alreadyStored };

    /// <summary>The chain's hash after each of the messages, which follow here.</summary>
    public byte[]?[] Chain(IReadOnlyList<NewMessage> messages)
    {
        var chain = new byte[messages.Count][];
        var hash = Hash;
        for (var i = 0; i < chain.Length; i++)
        {
            hash = PrefixHash.After(hash, messages[i].Content.Digest.Span);
            chain[i] = hash!;
        }

        return chain;
    }
}
