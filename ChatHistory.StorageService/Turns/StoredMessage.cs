using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;

namespace ChatHistory.StorageService.Turns;

/// <summary>A row as far as finding a turn's place in the tree needs it.</summary>
internal sealed record StoredMessage(string MessageId, string SessionId, string? ParentId, string Role, string Status, string CreatedAt, byte[]? Hash)
{
    private const string Columns = "message_id, session_id, parent_id, role, status, coalesce(created_at, ''), prefix_hash";

    private const string SelectById = $"SELECT {Columns} FROM messages WHERE message_id = ?1";

    // The newest few: a thousand chats that begin alike must not cost a thousand rows. Session ids are given in the order of time.
    private const string SelectByHash = $"SELECT {Columns} FROM messages WHERE prefix_hash = ?1 ORDER BY session_id DESC LIMIT 32";

    private const string SelectByHashInSession = $"SELECT {Columns} FROM messages WHERE prefix_hash = ?1 AND session_id = ?2 ORDER BY seq DESC LIMIT 32";

    private const string SelectAnswer = $"SELECT {Columns} FROM messages WHERE parent_id = ?1 AND role = 'assistant' ORDER BY created_at DESC, seq DESC LIMIT 1";

    private const string SelectFollower = "SELECT 1 FROM messages WHERE parent_id = ?1 LIMIT 1";

    private const string SelectAnswered =
        "SELECT 1 FROM messages WHERE parent_id = ?1 AND status IN ('in_progress', 'completed', 'incomplete') LIMIT 1";

    // An answer that its client did not get to the end. Of two, the one that holds more of the text.
    private const string SelectCutAnswer =
        $"""
        SELECT {Columns} FROM messages
        WHERE parent_id = ?1 AND role = 'assistant' AND status IN ('cancelled', 'interrupted', 'failed', 'in_progress') AND tool_calls IS NULL
          AND (substr(content, 1, length(?2)) = ?2 OR (status = 'in_progress' AND substr(?2, 1, length(content)) = content))
        ORDER BY length(content) DESC, seq DESC LIMIT 1
        """;

    private const string SelectOmitted = "SELECT role, parent_id, omitted, prompt_tokens + tokens FROM messages WHERE message_id = ?1";

    private const int MaxStepsToAnswer = 64;

    public bool IsAnswer => Role == "assistant";

    /// <summary>True for an answer that a client can be given, or will be.</summary>
    public bool IsUsable => Status is MessageStatus.InProgress or MessageStatus.Completed or "incomplete";

    public static StoredMessage? Find(PreparedConnection database, string messageId)
    {
        using var reader = database.Query(SelectById, messageId);
        return reader.Read() ? Read(reader) : null;
    }

    /// <summary>The ends of stored paths that say the same as the path that was hashed.</summary>
    public static List<StoredMessage> FindByHash(PreparedConnection database, byte[] hash, string? sessionId)
    {
        using var reader = sessionId is null ? database.Query(SelectByHash, hash) : database.Query(SelectByHashInSession, hash, sessionId);
        var found = new List<StoredMessage>();
        while (reader.Read())
        {
            found.Add(Read(reader));
        }

        return found;
    }

    /// <summary>The newest answer to this message.</summary>
    public StoredMessage? FindAnswer(PreparedConnection database)
    {
        using var reader = database.Query(SelectAnswer, MessageId);
        return reader.Read() ? Read(reader) : null;
    }

    /// <summary>The answer to this message of which a client holds <paramref name="text"/>: it left, or was cut off, before the end.</summary>
    public StoredMessage? FindCutAnswer(PreparedConnection database, string text)
    {
        using var reader = database.Query(SelectCutAnswer, MessageId, text);
        return reader.Read() ? Read(reader) : null;
    }

    public bool HasFollower(PreparedConnection database) => HasFollower(database, MessageId);

    public static bool HasFollower(PreparedConnection database, string messageId)
    {
        using var reader = database.Query(SelectFollower, messageId);
        return reader.Read();
    }

    /// <summary>True when whatever follows this message failed or was given up.</summary>
    public bool IsUnanswered(PreparedConnection database)
    {
        using var reader = database.Query(SelectAnswered, MessageId);
        return !reader.Read();
    }

    /// <summary>
    /// Of the answer at or before <paramref name="messageId"/>: how much of the history it was not shown, and how many tokens prompt and answer had.
    /// </summary>
    public static (int Omitted, int? Tokens) FindContext(PreparedConnection database, string? messageId)
    {
        for (var steps = 0; messageId is not null && steps < MaxStepsToAnswer; steps++)
        {
            using var reader = database.Query(SelectOmitted, messageId);
            if (!reader.Read())
            {
                break;
            }

            if (reader.GetString(0) == "assistant")
            {
                return (reader.IsNull(2) ? 0 : reader.GetInt32(2), reader.IsNull(3) ? null : reader.GetInt32(3));
            }

            messageId = reader.GetText(1);
        }

        return (0, null);
    }

    private static StoredMessage Read(Rows reader) =>
        new(
            reader.GetString(0),
            reader.GetString(1),
            reader.GetText(2),
            reader.GetString(3),
            reader.GetString(4),
            reader.GetString(5),
            reader.GetBlob(6));
}
