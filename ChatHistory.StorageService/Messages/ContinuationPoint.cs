using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Messages;

/// <summary>A message that a session can continue from: as its head, or where a fork begins.</summary>
/// <param name="MessageId">The message.</param>
/// <param name="Seq">Its place.</param>
/// <param name="Fault">Why it is none; null when it is one. Reads on from the name of the field.</param>
internal readonly record struct ContinuationPoint(string MessageId, long Seq, string? Fault)
{
    private const string Select = "SELECT session_id, seq, status FROM messages WHERE message_id = ?1";

    /// <summary>Looks at a message as <paramref name="sessionId"/>, a fork of <paramref name="forkedFrom"/> or of nothing, shows it.</summary>
    public static ContinuationPoint Find(PreparedConnection database, string sessionId, string? forkedFrom, string messageId)
    {
        string owner, status;
        long seq;
        using (var reader = database.Query(Select, messageId))
        {
            if (!reader.Read())
            {
                return new(messageId, 0, "is not a message of this session");
            }

            (owner, seq, status) = (reader.GetString(0), reader.GetInt64(1), reader.GetString(2));
        }

        var isShown = owner == sessionId || StoredPath.ReadPlaces(database, sessionId, forkedFrom).Exists(place => place.MessageId == messageId);
        return new(messageId, seq, (isShown, status) switch
        {
            (false, _) => "is not a message of this session",
            (_, MessageStatus.InProgress) => "is an answer in progress; wait for its end, or take the message before it",
            (_, "failed") => "is an answer that failed, so there is nothing to continue from; take the message before it",
            _ => null,
        });
    }
}
