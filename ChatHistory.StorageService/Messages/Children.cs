using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Messages;

/// <summary>What follows a message in a session: its branches.</summary>
internal static class Children
{
    // "+": found by the parent, and not among all messages of the session.
    internal const string SelectOfParent = $"SELECT {Message.Columns} FROM messages WHERE parent_id = ?2 AND +session_id = ?1 ORDER BY seq";

    // Looks at the whole session: the index of parents leaves out those that have none.
    private const string SelectFirst = $"SELECT {Message.Columns} FROM messages WHERE session_id = ?1 AND parent_id IS NULL ORDER BY seq";

    internal const string CountOfParent = "SELECT count(*) FROM messages WHERE parent_id = ?2 AND +session_id = ?1";

    /// <summary>The messages of a session that follow <paramref name="messageId"/> directly (null: that begin a branch), oldest first.</summary>
    public static List<Message> Read(PreparedConnection database, SessionView view, string? messageId, CancellationToken cancellationToken)
    {
        var sessionId = view.Session.SessionId;
        var own = messageId is null ? database.Query(SelectFirst, sessionId) : database.Query(SelectOfParent, sessionId, messageId);
        var children = Message.ReadAll(own, cancellationToken);
        // A fork begins to count behind what it inherits.
        return view.InheritedAfter(messageId) is { } inherited ? [.. Message.ReadAll(database.Query(MessagePages.SelectById, inherited), cancellationToken), .. children] : children;
    }

    /// <summary>How many messages follow each of <paramref name="messages"/> in the session, in their order.</summary>
    public static List<int> Count(PreparedConnection database, SessionView view, IReadOnlyList<Message> messages, CancellationToken cancellationToken)
    {
        // All but the last of the inherited messages are followed by the next one.
        var inherited = view.Inherited.SkipLast(1).Select(place => place.MessageId).ToHashSet();
        var counts = new List<int>(messages.Count);
        foreach (var message in messages)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var own = database.Number(CountOfParent, view.Session.SessionId, message.MessageId)!.Value;
            counts.Add((int)own + (inherited.Contains(message.MessageId) ? 1 : 0));
        }

        return counts;
    }
}
