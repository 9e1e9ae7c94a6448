using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Messages;

/// <summary>Reads a path: a message and all before it, by <c>parent_id</c>, through forks too. Costs what the path is long, however long the session.</summary>
internal static class StoredPath
{
    // seq falls along every path, so the join also ends on a loop that another tool might have made.
    private const string Steps =
        """
        WITH RECURSIVE path (row, parent_id, seq) AS (
            SELECT rowid, parent_id, seq FROM messages WHERE message_id = ?1
            UNION ALL
            SELECT m.rowid, m.parent_id, m.seq FROM path p JOIN messages m ON m.message_id = p.parent_id WHERE m.seq < p.seq)
        """;

    private const string SelectContents =
        $"{Steps} SELECT path.seq, path.parent_id, m.session_id, {MessageContents.Columns} FROM path CROSS JOIN messages m ON m.rowid = path.row";

    private const string SelectPlaces =
        $"{Steps} SELECT path.seq, path.parent_id, m.session_id, m.message_id FROM path CROSS JOIN messages m ON m.rowid = path.row";

    // Where another tool deleted a message in the middle, the path goes on with the nearest one before the gap.
    private const string BeforeGap =
        """
        SELECT message_id FROM messages
        WHERE session_id = ?1 AND seq < ?2 AND status NOT IN ('in_progress', 'failed')
        ORDER BY seq DESC LIMIT 1
        """;

    /// <summary>The messages up to and with <paramref name="lastMessageId"/>, oldest first; none when that is null.</summary>
    public static List<MessageContent> Read(PreparedConnection database, string sessionId, string? lastMessageId) =>
        Read(database, SelectContents, sessionId, lastMessageId, reader => MessageContents.Read(reader, 3));

    /// <summary>Where the messages up to and with <paramref name="lastMessageId"/> stand, oldest first; none when that is null.</summary>
    public static List<PlaceOnPath> ReadPlaces(PreparedConnection database, string sessionId, string? lastMessageId) =>
        Read(database, SelectPlaces, sessionId, lastMessageId, reader => new PlaceOnPath(reader.GetString(3), reader.GetString(2), reader.GetInt64(0)));

    private static List<T> Read<T>(PreparedConnection database, string sql, string sessionId, string? lastMessageId, Func<Rows, T> read)
    {
        var path = new List<T>();
        while (lastMessageId is not null)
        {
            var seq = 0L;
            string? missing = null;
            using (var reader = database.Query(sql, lastMessageId))
            {
                while (reader.Read())
                {
                    seq = reader.GetInt64(0);
                    missing = reader.GetText(1);
                    // A fork's path passes from its session into others.
                    sessionId = reader.GetString(2);
                    path.Add(read(reader));
                }
            }

            // The first message has no parent; any other last one has a parent that is gone.
            lastMessageId = missing is null ? null : FindBeforeGap(database, sessionId, seq);
        }

        path.Reverse();
        return path;
    }

    private static string? FindBeforeGap(PreparedConnection database, string sessionId, long seq)
    {
        using var reader = database.Query(BeforeGap, sessionId, seq);
        return reader.Read() ? reader.GetString(0) : null;
    }
}

/// <summary>One message of a path, and the session that it was written in.</summary>
internal readonly record struct PlaceOnPath(string MessageId, string SessionId, long Seq);
