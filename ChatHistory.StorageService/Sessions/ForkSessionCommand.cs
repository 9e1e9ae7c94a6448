using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Sessions;

/// <summary>
/// Adds a session that continues from a message of another one, and shows the path up to it. Nothing is copied. The fork's seqs go on from
/// that message's: so seq falls along every path, and what a fork shows is in the order of seq, as in any session.
/// </summary>
internal sealed class ForkSessionCommand(V1.ForkSessionRequest request, UserScope scope) : WriteCommand
{
    private const string SelectIsTaken = "SELECT 1 FROM sessions WHERE session_id = ?1";

    private const string SelectSession = "SELECT user_id, title, head_message_id, forked_from FROM sessions WHERE session_id = ?1";

    private const string Insert =
        """
        INSERT INTO sessions (session_id, user_id, title, created_at, updated_at, last_seq, message_count, head_message_id, forked_from)
        VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?7)
        """;

    public override int Size => request.CalculateSize();

    /// <summary>The fork as it is now, read in the same transaction; also when it was there, because it was sent again. Null: there is no such session, or the fork's id is somebody else's.</summary>
    public Session? Fork { get; private set; }

    /// <summary>Why the session cannot be forked there.</summary>
    public string? Fault { get; private set; }

    /// <summary>Nothing was changed: the owner has stored as much as it may.</summary>
    public bool IsOverQuota { get; private set; }

    public override void Execute(PreparedConnection database, string now)
    {
        (Fork, IsOverQuota, Fault) = (null, false, null);
        if (database.Number(SelectIsTaken, request.NewSessionId) is not null)
        {
            Fork = Session.Find(database, request.NewSessionId, scope);
            return;
        }

        string owner;
        string? title, head, forkedFrom;
        using (var reader = database.Query(SelectSession, request.SessionId))
        {
            if (!reader.Read() || !scope.Allows(reader.GetString(0)))
            {
                return;
            }

            owner = reader.GetString(0);
            title = reader.GetText(1);
            head = reader.GetText(2);
            forkedFrom = reader.GetText(3);
        }

        if ((request.HasMessageId ? request.MessageId : head) is not { } messageId)
        {
            Fault = "must name the message to continue from: the session has none yet";
            return;
        }

        var point = ContinuationPoint.Find(database, request.SessionId, forkedFrom, messageId);
        Fault = point.Fault;
        if (Fault is not null)
        {
            return;
        }

        IsOverQuota = StoredBytes.AreExceeded(database, scope, Size);
        if (IsOverQuota)
        {
            return;
        }

        SessionRows.UpsertUserInto(database, owner, now);
        var inherited = StoredPath.ReadPlaces(database, request.SessionId, messageId).Count;
        database.Execute(Insert, request.NewSessionId, owner, request.HasTitle ? request.Title : title, now, point.Seq, inherited, messageId);
        Fork = Session.Find(database, request.NewSessionId, scope);
    }
}
