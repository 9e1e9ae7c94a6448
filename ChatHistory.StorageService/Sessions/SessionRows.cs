using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Sessions;

/// <summary>Adds a session, and its user when that is unknown. For commands that run without triggers.</summary>
internal static class SessionRows
{
    private const string UpsertUser =
        """
        INSERT INTO users (user_id, created_at, last_active) VALUES (?1, ?2, ?2)
        ON CONFLICT (user_id) DO UPDATE SET last_active = excluded.last_active
        """;

    private const string InsertSession =
        """
        INSERT INTO sessions (session_id, user_id, title, created_at, updated_at, metadata, last_seq, message_count)
        VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?6)
        """;

    public static void UpsertUserInto(PreparedConnection database, string userId, string now) => database.Execute(UpsertUser, userId, now);

    /// <param name="database">The writer's connection.</param>
    /// <param name="sessionId">The new session's id.</param>
    /// <param name="session">What the client says about it.</param>
    /// <param name="messages">How many messages the caller adds next, with the seqs from 1 on.</param>
    /// <param name="bytes">How much these are (<see cref="MessageRow.Bytes"/>).</param>
    /// <param name="now">The transaction's time.</param>
    public static void Insert(PreparedConnection database, string sessionId, V1.NewSession session, int messages, long bytes, string now)
    {
        var title = session.HasTitle ? session.Title : Session.DefaultTitle;
        var metadata = session.HasMetadata ? session.Metadata : null;
        OwnerCounters.CountSession(database, session.UserId, bytes + OwnerCounters.BytesOf(title) + OwnerCounters.BytesOf(metadata), now);
        database.Execute(InsertSession, sessionId, session.UserId, title, now, metadata, messages);
    }
}
