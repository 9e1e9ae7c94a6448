using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;

namespace ChatHistory.StorageService.Sessions;

/// <summary>
/// Deletes a session; its messages go with it (ON DELETE CASCADE), but for those that forks show: each is written over to one of them first.
/// </summary>
/// <remarks>
/// So a message always belongs to one session that shows it, and on every path the messages of one session stand together. What a fork
/// takes over it has inherited before: neither its counters change nor its seqs.
/// </remarks>
internal sealed class DeleteSessionCommand(string sessionId, UserScope scope) : WriteCommand
{
    private const string Exists = "SELECT 1 FROM sessions WHERE session_id = ?1 AND user_id = coalesce(?2, user_id)";

    private const string SelectForks =
        """
        SELECT f.session_id, f.user_id, f.forked_from
        FROM messages m JOIN sessions f ON f.forked_from = m.message_id
        WHERE m.session_id = ?1
        """;

    private const string SelectParent = "SELECT parent_id FROM messages WHERE message_id = ?1 AND session_id = ?2";

    // Only answers have a user_id.
    private const string TakeOver =
        "UPDATE messages SET session_id = ?2, user_id = CASE WHEN user_id IS NULL THEN NULL ELSE ?3 END WHERE message_id = ?1";

    private const string MoveFork = "UPDATE sessions SET forked_from = ?2 WHERE session_id = ?1";

    private const string Delete = "DELETE FROM sessions WHERE session_id = ?1";

    public bool Found { get; private set; }

    public override bool MayUseBallast => true;

    public override void Execute(PreparedConnection database, string now)
    {
        using (var reader = database.Query(Exists, sessionId, scope.Owner))
        {
            Found = reader.Read();
        }

        if (!Found)
        {
            return;
        }

        // Forks lose what a gap, which another program has left, kept out of their hashes.
        database.Epoch!.End();
        var forks = new List<(string SessionId, string UserId, string From)>();
        using (var reader = database.Query(SelectForks, sessionId))
        {
            while (reader.Read())
            {
                forks.Add((reader.GetString(0), reader.GetString(1), reader.GetString(2)));
            }
        }

        foreach (var fork in forks)
        {
            HandOver(database, fork.SessionId, fork.UserId, fork.From);
        }

        database.Execute(Delete, sessionId);
    }

    /// <summary>Gives a fork the path that it inherits, up to where it is another session's: already, or since another fork took it.</summary>
    private void HandOver(PreparedConnection database, string forkId, string userId, string from)
    {
        var next = from;
        while (next is not null && IsOurs(database, next, out var parent))
        {
            database.Execute(TakeOver, next, forkId, userId);
            next = parent;
        }

        database.Execute(MoveFork, forkId, next);
    }

    private bool IsOurs(PreparedConnection database, string messageId, out string? parentId)
    {
        using var reader = database.Query(SelectParent, messageId, sessionId);
        var isOurs = reader.Read();
        parentId = isOurs && !reader.IsNull(0) ? reader.GetString(0) : null;
        return isOurs;
    }
}
