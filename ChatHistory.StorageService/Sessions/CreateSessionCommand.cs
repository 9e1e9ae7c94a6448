using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Sessions;

internal sealed class CreateSessionCommand(string sessionId, V1.NewSession session, UserScope scope) : WriteCommand
{
    private const string SelectOwner = "SELECT user_id FROM sessions WHERE session_id = ?1";

    public override int Size => session.CalculateSize();

    public override bool CountsItself => true;

    /// <summary>The session as it is now, read in the same transaction; also when it was there, because it was sent again. Null: the id belongs to somebody else.</summary>
    public Session? Session { get; private set; }

    /// <summary>Nothing was changed: the owner has stored as much as it may.</summary>
    public bool IsOverQuota { get; private set; }

    public override void Execute(PreparedConnection database, string now)
    {
        Session = null;
        var owner = FindOwner(database);
        IsOverQuota = owner is null && StoredBytes.AreExceeded(database, scope, Size);
        if (IsOverQuota)
        {
            return;
        }

        if (owner is null)
        {
            SessionRows.Insert(database, sessionId, session, messages: 0, bytes: 0, now);
        }

        Session = Session.Find(database, sessionId, scope);
    }

    private string? FindOwner(PreparedConnection database)
    {
        using var reader = database.Query(SelectOwner, sessionId);
        return reader.Read() ? reader.GetString(0) : null;
    }
}
