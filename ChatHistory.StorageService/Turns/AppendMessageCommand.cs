using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Turns;

/// <summary>Adds one finished message behind the session's head, which moves to it.</summary>
internal sealed class AppendMessageCommand(V1.AppendMessage append, UserScope scope, int size) : TurnCommand(scope, size)
{
    private const string Exists = "SELECT session_id FROM messages WHERE message_id = ?1";

    public override string Operation => "append_message";

    public string SessionId => append.SessionId;

    /// <summary>The message was stored by an earlier sending of this command: <see cref="TurnsService"/> answers with that one.</summary>
    public string? StoredMessageId { get; private set; }

    protected override V1.WriteResult Write(PreparedConnection database, string now)
    {
        StoredMessageId = null;
        if (SessionHead.Find(database, append.SessionId) is not { } head || !Scope.Allows(head.UserId))
        {
            return SessionNotFound();
        }

        var messageId = append.Message.MessageId;
        using (var reader = database.Query(Exists, messageId))
        {
            if (reader.Read())
            {
                if (reader.GetString(0) != append.SessionId)
                {
                    return Invalid("message.message_id is in use");
                }

                StoredMessageId = messageId;
                return new V1.WriteResult();
            }
        }

        if (StoredBytes.AreExceeded(database, Scope, Size))
        {
            return QuotaExceeded();
        }

        var row = new MessageRow(messageId, append.SessionId, head.MessageId, head.LastSeq + 1, append.Message.Content)
        {
            Model = append.HasModel ? append.Model : null,
            Tokens = append.HasTokens ? append.Tokens : 0,
            PrefixHash = PrefixHash.After(head.HashBeforeNext, append.Message.Content.Digest.Span),
        };
        row.InsertInto(database, now);
        SessionHead.Count(database, append.SessionId, head.UserId, 1, row.Bytes, now);
        SessionHead.MoveTo(database, append.SessionId, messageId);
        return new V1.WriteResult { MessageAppended = Appended(row, now) };
    }

    private static V1.Message Appended(MessageRow row, string now)
    {
        var message = new V1.Message
        {
            MessageId = row.MessageId,
            SessionId = row.SessionId,
            Seq = row.Seq,
            Content = row.Content.Clone(),
            Status = V1.TurnStatus.Completed,
            Tokens = row.Tokens,
            CreatedAt = UtcText.ToTimestamp(now),
        };
        message.Content.Digest = Google.Protobuf.ByteString.Empty;
        if (row.ParentId is not null)
        {
            message.ParentId = row.ParentId;
        }

        if (row.Model is not null)
        {
            message.Model = row.Model;
        }

        return message;
    }
}
