using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Sessions;

/// <summary>Changes what a user says about a session. <c>updated_at</c> stays: it is the time of the last activity.</summary>
internal sealed class UpdateSessionCommand(V1.UpdateSessionRequest request, UserScope scope) : WriteCommand
{
    private const string Update =
        """
        UPDATE sessions SET title = coalesce(?2, title), metadata = coalesce(?3, metadata), is_active = coalesce(?4, is_active)
        WHERE session_id = ?1 AND user_id = coalesce(?5, user_id)
        """;

    public override int Size => request.CalculateSize();

    public bool Found { get; private set; }

    public override void Execute(PreparedConnection database, string now) =>
        Found = database.Execute(
            Update,
            request.SessionId,
            request.HasTitle ? request.Title : null,
            request.HasMetadata ? request.Metadata : null,
            request.HasIsActive ? request.IsActive : null,
            scope.Owner) > 0;
}
