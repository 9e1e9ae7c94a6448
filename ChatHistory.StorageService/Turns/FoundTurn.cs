using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Turns;

/// <summary>
/// The turn that the first sending of a request began: found by the client's idempotency key, or because the client says that it repeats
/// itself. What a client may have again is answered again; what failed or was given up is begun anew, behind the same question.
/// </summary>
internal static class FoundTurn
{
    /// <summary>For how long a repetition without a key is looked for: longer than any official client waits for an answer (10 minutes).</summary>
    public static readonly TimeSpan RepetitionWindow = TimeSpan.FromMinutes(15);

    private const string SelectKey = "SELECT message_id, request_hash FROM idempotency_keys WHERE user_id = ?1 AND key = ?2";

    private const string UpsertKey =
        """
        INSERT INTO idempotency_keys (user_id, key, message_id, request_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (user_id, key) DO UPDATE SET message_id = excluded.message_id, created_at = excluded.created_at
        """;

    private const string Interrupt =
        "UPDATE messages SET status = 'interrupted', updated_at = ?2 WHERE message_id = ?1 AND status = 'in_progress'";

    /// <summary>Looks a key up. False: it stands for another request.</summary>
    /// <param name="answer">The answer that it stands for; null when there is none (any more).</param>
    public static bool TryFind(PreparedConnection database, string userId, V1.Idempotency idempotency, out StoredMessage? answer)
    {
        answer = null;
        string messageId;
        using (var reader = database.Query(SelectKey, userId, idempotency.Key))
        {
            if (!reader.Read())
            {
                return true;
            }

            if (!reader.GetBlob(1).AsSpan().SequenceEqual(idempotency.RequestHash.Span))
            {
                return false;
            }

            messageId = reader.GetString(0);
        }

        answer = StoredMessage.Find(database, messageId);
        return true;
    }

    public static void Remember(PreparedConnection database, string userId, V1.Idempotency idempotency, string answerMessageId, string now) =>
        database.Execute(UpsertKey, userId, idempotency.Key, answerMessageId, idempotency.RequestHash.ToByteArray(), now);

    /// <summary>Ends an answer that nobody works on any more, so that another can take its place.</summary>
    public static void Supersede(PreparedConnection database, string answerMessageId, string now) => database.Execute(Interrupt, answerMessageId, now);

    public static V1.WriteResult ToResult(StoredMessage answer) => new()
    {
        TurnBegun = new V1.TurnBegun
        {
            SessionId = answer.SessionId,
            AnswerMessageId = answer.MessageId,
            UserMessageId = answer.ParentId ?? "",
            Found = true,
            Status = MessageStatus.Parse(answer.Status),
        },
    };
}
