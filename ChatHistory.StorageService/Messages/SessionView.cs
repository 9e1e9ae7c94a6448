using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Sessions;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Messages;

/// <summary>
/// What a session shows: its own messages, and before them, of a fork, the path up to the message from which it continues. The inherited
/// messages stay rows of the session that they were written in; their seqs are below the fork's own, because a fork begins to count there.
/// </summary>
internal sealed record SessionView(Session Session, IReadOnlyList<PlaceOnPath> Inherited)
{
    /// <summary>Null when there is no such session, or not in the scope.</summary>
    public static SessionView? Find(PreparedConnection database, string sessionId, UserScope scope) =>
        Session.Find(database, sessionId, scope) is { } session ? Of(database, session) : null;

    public static SessionView Of(PreparedConnection database, Session session) =>
        new(session, session.ForkedFrom is null ? [] : StoredPath.ReadPlaces(database, session.SessionId, session.ForkedFrom));

    public bool Shows(Message message) => message.SessionId == Session.SessionId || Inherited.Any(place => place.MessageId == message.MessageId);

    /// <summary>The inherited message that follows <paramref name="messageId"/> (null: the first one), as the only one of other sessions.</summary>
    public string? InheritedAfter(string? messageId)
    {
        for (var i = 0; i < Inherited.Count; i++)
        {
            if (i == 0 ? messageId is null : Inherited[i - 1].MessageId == messageId)
            {
                return Inherited[i].MessageId;
            }
        }

        return null;
    }
}
