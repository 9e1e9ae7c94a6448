using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Sessions;

/// <summary>Pages of sessions, newest activity first: a user's, or everybody's. Whose may be read, the caller has checked against its scope.</summary>
/// <remarks>A user's list comes out of its index in order; everybody's is sorted.</remarks>
internal static class SessionPages
{
    private const string ByActivity = "ORDER BY updated_at DESC, session_id DESC LIMIT ?4 OFFSET ?5";

    // The first comparison alone is a range of the index; SQLite would read from the list's beginning for "a < x OR (a = x AND b < y)".
    private const string After = "updated_at <= ?2 AND (updated_at < ?2 OR session_id < ?3)";

    private const string SelectAll = $"SELECT {Session.Columns} FROM sessions {ByActivity}";
    private const string SelectAllAfter = $"SELECT {Session.Columns} FROM sessions WHERE {After} {ByActivity}";
    internal const string SelectOfUser = $"SELECT {Session.Columns} FROM sessions WHERE user_id = ?1 {ByActivity}";
    internal const string SelectOfUserAfter = $"SELECT {Session.Columns} FROM sessions WHERE user_id = ?1 AND {After} {ByActivity}";

    // Counters: nothing is counted.
    private const string CountAll = "SELECT coalesce(sum(session_count), 0) FROM users";
    internal const string CountOfUser = "SELECT session_count FROM users WHERE user_id = ?1";

    /// <param name="database">A reader's connection.</param>
    /// <param name="userId">Whose; null for everybody's.</param>
    /// <param name="after">The page before ended there; null for the first page, or with an offset.</param>
    /// <param name="offset">So many are skipped. Not with <paramref name="after"/>.</param>
    /// <param name="limit">At most.</param>
    public static List<Session> Read(PreparedConnection database, string? userId, SessionCursor? after, int offset, int limit)
    {
        var sql = (userId, after) switch
        {
            (null, null) => SelectAll,
            (null, _) => SelectAllAfter,
            (_, null) => SelectOfUser,
            _ => SelectOfUserAfter,
        };
        List<Session> sessions = [];
        using var rows = database.Query(sql, userId, after?.UpdatedAt, after?.SessionId, limit, after is null ? offset : 0);
        while (rows.Read())
        {
            sessions.Add(Session.Read(rows));
        }

        return sessions;
    }

    /// <summary>How many sessions a user has, or all users have.</summary>
    public static long Count(PreparedConnection database, string? userId) =>
        (userId is null ? database.Number(CountAll) : database.Number(CountOfUser, userId)) ?? 0;
}
