using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;

namespace ChatHistory.StorageService.Sessions;

/// <summary>Deletes a session; its messages go with it (ON DELETE CASCADE).</summary>
internal sealed class DeleteSessionCommand(string sessionId, UserScope scope) : WriteCommand
{
    private const string Delete = "DELETE FROM sessions WHERE session_id = ?1 AND user_id = coalesce(?2, user_id)";

    public bool Found { get; private set; }

    public override void Execute(PreparedConnection database, string now) => Found = database.Execute(Delete, sessionId, scope.Owner) > 0;
}
