using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Messages;

/// <summary>Reads a path: a message and all before it, by <c>parent_id</c>, through forks too. Costs what the path is long, however long the session.</summary>
/// <remarks>
/// Nearly every path is simply the end of its session, one row behind the other. So it is read down the session's own index first, and other rows (branches, failed
/// answers) are passed over. Where there are too many of those, or the path leaves the session, the rest is found step by step, by id.
/// </remarks>
internal static class StoredPath
{
    /// <summary>So many rows beside a path are passed over, and as many more as the path has.</summary>
    private const int MaxBeside = 32;

    // seq falls along every path, so the join also ends on a loop that another tool might have made.
    private const string Steps =
        """
        WITH RECURSIVE path (row, parent_id, seq) AS (
            SELECT rowid, parent_id, seq FROM messages WHERE message_id = ?1
            UNION ALL
            SELECT m.rowid, m.parent_id, m.seq FROM path p JOIN messages m ON m.message_id = p.parent_id WHERE m.seq < p.seq)
        """;

    private const string Down =
        "FROM messages m WHERE m.session_id = ?1 AND m.seq <= (SELECT seq FROM messages WHERE message_id = ?2 AND session_id = ?1) ORDER BY m.seq DESC";

    private const string Place = "m.seq, m.parent_id, m.session_id, m.message_id";

    private static readonly (string Down, string Steps) s_selectContents = (
        $"SELECT {Place}, {MessageContents.Columns} {Down}",
        $"{Steps} SELECT {Place}, {MessageContents.Columns} FROM path CROSS JOIN messages m ON m.rowid = path.row");

    private static readonly (string Down, string Steps) s_selectPlaces = ($"SELECT {Place} {Down}", $"{Steps} SELECT {Place} FROM path CROSS JOIN messages m ON m.rowid = path.row");

    private const string IsBefore = "SELECT 1 FROM messages WHERE message_id = ?1 AND seq < ?2";

    // Where another tool deleted a message in the middle, the path goes on with the nearest one before the gap.
    private const string BeforeGap =
        """
        SELECT message_id FROM messages
        WHERE session_id = ?1 AND seq < ?2 AND status NOT IN ('in_progress', 'failed')
        ORDER BY seq DESC LIMIT 1
        """;

    /// <summary>The messages up to and with <paramref name="lastMessageId"/>, oldest first; none when that is null.</summary>
    public static List<MessageContent> Read(PreparedConnection database, string sessionId, string? lastMessageId) =>
        Read(database, s_selectContents, sessionId, lastMessageId, reader => MessageContents.Read(reader, 4));

    /// <summary>Where the messages up to and with <paramref name="lastMessageId"/> stand, oldest first; none when that is null.</summary>
    public static List<PlaceOnPath> ReadPlaces(PreparedConnection database, string sessionId, string? lastMessageId) =>
        Read(database, s_selectPlaces, sessionId, lastMessageId, reader => new PlaceOnPath(reader.GetString(3), reader.GetString(2), reader.GetInt64(0)));

    private static List<T> Read<T>(PreparedConnection database, (string Down, string Steps) select, string sessionId, string? lastMessageId, Func<Rows, T> read)
    {
        var path = new List<T>();
        var next = lastMessageId is null ? null : ReadDown(database, select.Down, sessionId, lastMessageId, path, read);
        while (next is not null)
        {
            next = ReadSteps(database, select.Steps, sessionId, next, path, read);
        }

        path.Reverse();
        return path;
    }

    /// <summary>Takes the path from the session's last rows. Returns the message from which it goes on elsewhere; null at its beginning.</summary>
    private static string? ReadDown<T>(PreparedConnection database, string sql, string sessionId, string lastMessageId, List<T> path, Func<Rows, T> read)
    {
        var (next, seq, beside) = (lastMessageId, 0L, 0);
        using (var reader = database.Query(sql, sessionId, lastMessageId))
        {
            while (beside <= MaxBeside + path.Count && reader.Read())
            {
                if (reader.GetString(3) != next)
                {
                    beside++;
                    continue;
                }

                seq = reader.GetInt64(0);
                path.Add(read(reader));
                if (reader.GetText(1) is not { } parentId)
                {
                    return null;
                }

                next = parentId;
            }
        }

        return path.Count == 0 || IsThereBefore(database, next, seq) ? next : FindBeforeGap(database, sessionId, seq);
    }

    /// <summary>Takes the path step by step. Returns the message from which it goes on behind a gap; null at its beginning.</summary>
    private static string? ReadSteps<T>(PreparedConnection database, string sql, string sessionId, string lastMessageId, List<T> path, Func<Rows, T> read)
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
        return missing is null ? null : FindBeforeGap(database, sessionId, seq);
    }

    private static bool IsThereBefore(PreparedConnection database, string messageId, long seq)
    {
        using var reader = database.Query(IsBefore, messageId, seq);
        return reader.Read();
    }

    private static string? FindBeforeGap(PreparedConnection database, string sessionId, long seq)
    {
        using var reader = database.Query(BeforeGap, sessionId, seq);
        return reader.Read() ? reader.GetString(0) : null;
    }
}

/// <summary>One message of a path, and the session that it was written in.</summary>
internal readonly record struct PlaceOnPath(string MessageId, string SessionId, long Seq);
