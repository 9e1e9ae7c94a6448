using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Sessions;

/// <summary>Changes what a user says about a session, and where it continues. <c>updated_at</c> stays: it is the time of the last activity.</summary>
internal sealed class UpdateSessionCommand(V1.UpdateSessionRequest request, UserScope scope) : WriteCommand
{
    private const string SelectForkedFrom = "SELECT forked_from FROM sessions WHERE session_id = ?1 AND user_id = coalesce(?2, user_id)";

    private const string Update =
        """
        UPDATE sessions
        SET title = coalesce(?2, title), metadata = coalesce(?3, metadata), is_active = coalesce(?4, is_active),
            head_message_id = coalesce(?6, head_message_id)
        WHERE session_id = ?1 AND user_id = coalesce(?5, user_id)
        """;

    public override int Size => request.CalculateSize();

    /// <summary>The session as it is now, read in the same transaction: it may be deleted before its caller has it. Null: there is none in the scope.</summary>
    public Session? Session { get; private set; }

    /// <summary>Why the session cannot continue from the head that was asked for.</summary>
    public string? HeadFault { get; private set; }

    /// <summary>Nothing was changed: the owner has stored as much as it may.</summary>
    public bool IsOverQuota { get; private set; }

    public override void Execute(PreparedConnection database, string now)
    {
        (Session, HeadFault) = (null, null);
        IsOverQuota = (request.HasTitle || request.HasMetadata) && StoredBytes.AreExceeded(database, scope, Size);
        if (IsOverQuota)
        {
            return;
        }

        if (request.HasHeadMessageId)
        {
            string? forkedFrom;
            using (var reader = database.Query(SelectForkedFrom, request.SessionId, scope.Owner))
            {
                if (!reader.Read())
                {
                    return;
                }

                forkedFrom = reader.GetText(0);
            }

            HeadFault = ContinuationPoint.Find(database, request.SessionId, forkedFrom, request.HeadMessageId).Fault;
            if (HeadFault is not null)
            {
                return;
            }
        }

        var found = database.Execute(
            Update,
            request.SessionId,
            request.HasTitle ? request.Title : null,
            request.HasMetadata ? request.Metadata : null,
            request.HasIsActive ? request.IsActive : SqlValue.Null,
            scope.Owner,
            request.HasHeadMessageId ? request.HeadMessageId : null) > 0;
        Session = found ? Session.Find(database, request.SessionId, scope) : null;
    }
}
