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
    public static async Task<SessionView?> FindAsync(
        ReadSnapshot snapshot, string sessionId, UserScope scope, CancellationToken cancellationToken) =>
        await snapshot.Database.FindSessionAsync(sessionId, scope, cancellationToken) is { } session ? Of(session, snapshot) : null;

    public static SessionView Of(Session session, ReadSnapshot snapshot) =>
        new(session, session.ForkedFrom is null ? [] : snapshot.Read(reader => StoredPath.ReadPlaces(reader, session.SessionId, session.ForkedFrom)));

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
