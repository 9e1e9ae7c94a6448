using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Messages;

/// <summary>Replaces an answer's metadata. <c>updated_at</c> stays: it is the lease of a turn in progress.</summary>
internal sealed class UpdateMessageMetadataCommand(V1.UpdateMessageMetadataRequest request, UserScope scope) : WriteCommand
{
    private const string Update =
        """
        UPDATE messages SET metadata = ?2
        WHERE message_id = ?1 AND role = 'assistant'
          AND EXISTS (SELECT 1 FROM sessions s WHERE s.session_id = messages.session_id AND s.user_id = coalesce(?3, s.user_id))
        """;

    public override int Size => request.CalculateSize();

    /// <summary>The answer as it is now, read in the same transaction. Null: there is none in the scope.</summary>
    public Message? Message { get; private set; }

    /// <summary>Nothing was changed: the owner has stored as much as it may.</summary>
    public bool IsOverQuota { get; private set; }

    public override void Execute(PreparedConnection database, string now)
    {
        IsOverQuota = StoredBytes.AreExceeded(database, scope, Size);
        var found = !IsOverQuota && database.Execute(Update, request.MessageId, request.Metadata, scope.Owner) > 0;
        Message = found ? Message.Find(database, request.MessageId, scope) : null;
    }
}
