using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>What a turn needs to know of the session that it continues.</summary>
/// <param name="UserId">The session's owner.</param>
/// <param name="MessageId">The message to continue from; null for none.</param>
/// <param name="Hash">The chain's hash there; null when it is not known.</param>
/// <param name="LastSeq">The seq given last.</param>
internal sealed record SessionHead(string UserId, string? MessageId, byte[]? Hash, long LastSeq)
{
    private const string Select =
        """
        SELECT s.user_id, s.head_message_id, h.prefix_hash, s.last_seq
        FROM sessions s LEFT JOIN messages h ON h.message_id = s.head_message_id
        WHERE s.session_id = ?1
        """;

    private const string SelectMessageId = "SELECT head_message_id FROM sessions WHERE session_id = ?1";

    private const string Advance =
        """
        UPDATE sessions SET last_seq = last_seq + ?2, message_count = message_count + ?2, updated_at = ?3
        WHERE session_id = ?1
        """;

    private const string Move = "UPDATE sessions SET head_message_id = ?2 WHERE session_id = ?1";

    public static SessionHead? Find(PreparedConnection database, string sessionId)
    {
        using var reader = database.Query(Select, sessionId);
        return reader.Read()
            ? new SessionHead(
                reader.GetString(0),
                reader.GetText(1),
                reader.GetBlob(2),
                reader.GetInt64(3))
            : null;
    }

    /// <summary>The message to continue from alone; null for none.</summary>
    public static string? FindMessageId(PreparedConnection database, string sessionId)
    {
        using var reader = database.Query(SelectMessageId, sessionId);
        return reader.Read() ? reader.GetText(0) : null;
    }

    /// <summary>The hash that a message continuing from here is chained to.</summary>
    public byte[]? HashBeforeNext => MessageId is null ? PrefixHash.OfOwner(UserId) : Hash;

    /// <summary>True when the first messages of <paramref name="input"/> are the whole stored transcript up to here.</summary>
    /// <param name="input">The messages of a request.</param>
    /// <param name="count">How many of them that are.</param>
    public bool IsRepeatedBy(IReadOnlyList<NewMessage> input, out int count)
    {
        count = 0;
        if (MessageId is null || Hash is null)
        {
            return false;
        }

        var hash = PrefixHash.OfOwner(UserId);
        foreach (var message in input)
        {
            hash = PrefixHash.After(hash, message.Content.Digest.Span);
            if (hash is null)
            {
                return false;
            }

            count++;
            if (hash.AsSpan().SequenceEqual(Hash))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Counts <paramref name="messages"/> new messages of <paramref name="bytes"/> together, and notes the activity.</summary>
    public static void Count(PreparedConnection database, string sessionId, string userId, int messages, long bytes, string now)
    {
        database.Execute(Advance, sessionId, messages, now);
        OwnerCounters.CountMessages(database, userId, bytes, now);
    }

    /// <summary>Makes <paramref name="messageId"/> the message that the next turn continues from.</summary>
    public static void MoveTo(PreparedConnection database, string sessionId, string? messageId) =>
        database.Execute(Move, sessionId, messageId);
}
