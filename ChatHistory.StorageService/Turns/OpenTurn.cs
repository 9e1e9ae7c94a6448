using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>An answer's row and its session, as far as ending or continuing the turn needs them.</summary>
internal sealed record OpenTurn(string SessionId, string UserId, string? HeadMessageId, long HeadSeq, AnswerState? Answer)
{
    private const string Select =
        $"""
        SELECT s.user_id, s.head_message_id, h.seq,
               m.message_id, m.parent_id, m.seq, m.status, m.tokens, m.prompt_tokens, m.request_id, p.prefix_hash,
               m.content <> '' OR m.tool_calls IS NOT NULL OR m.reasoning <> '',
               {OwnerCounters.BytesOfContent}
        FROM sessions s
        LEFT JOIN messages m ON m.message_id = ?2 AND m.session_id = s.session_id AND m.role = 'assistant'
        LEFT JOIN messages p ON p.message_id = m.parent_id
        LEFT JOIN messages h ON h.message_id = s.head_message_id
        WHERE s.session_id = ?1
        """;

    private const string SelectRequest = "SELECT parent_id, request_id FROM messages WHERE message_id = ?1";

    public static OpenTurn? Find(PreparedConnection database, string sessionId, string answerMessageId)
    {
        using var reader = database.Query(Select, sessionId, answerMessageId);
        if (!reader.Read())
        {
            return null;
        }

        var answer = reader.IsNull(3)
            ? null
            : new AnswerState(
                reader.GetString(3),
                Text(reader, 4),
                reader.GetInt64(5),
                reader.GetString(6),
                reader.IsNull(7) ? 0 : reader.GetInt32(7),
                reader.IsNull(8) ? 0 : reader.GetInt32(8),
                Text(reader, 9),
                reader.GetBlob(10),
                !reader.IsNull(11) && reader.GetBoolean(11),
                reader.GetInt64(12));
        return new OpenTurn(sessionId, reader.GetString(0), Text(reader, 1), reader.IsNull(2) ? 0 : reader.GetInt64(2), answer);
    }

    /// <summary>Moves the session's head to where <see cref="HeadAfter"/> says.</summary>
    public void MoveHead(PreparedConnection database, bool continuable)
    {
        if (HeadAfter(database, continuable) is var head && head != HeadMessageId)
        {
            SessionHead.MoveTo(database, SessionId, head);
        }
    }

    /// <summary>
    /// The session's head once the answer has come this far: the answer, when there is something to continue from. Otherwise, and if it was the head because it had
    /// been taken for interrupted, the head goes back to where the turn began.
    /// </summary>
    /// <remarks>Of two turns that ran at once the one that began later wins, in whatever order they end: so a repair changes nothing either.</remarks>
    public string? HeadAfter(PreparedConnection database, bool continuable) => (continuable, Answer!.MessageId == HeadMessageId) switch
    {
        (true, _) => HeadMessageId is null || Answer.Seq > HeadSeq ? Answer.MessageId : HeadMessageId,
        (false, true) => FindStart(database, Answer.ParentId, Answer.RequestId),
        _ => HeadMessageId,
    };

    /// <summary>The message before the turn of an answer: the first one up the path that another request wrote.</summary>
    public static string? FindStart(PreparedConnection database, string? messageId, string? requestId)
    {
        while (messageId is not null)
        {
            using var reader = database.Query(SelectRequest, messageId);
            if (!reader.Read() || Text(reader, 1) is not { } request || request != requestId)
            {
                break;
            }

            messageId = Text(reader, 0);
        }

        return messageId;
    }

    private static string? Text(Rows reader, int column) => reader.GetText(column);
}

/// <summary>
/// The stored state of an answer. <c>ParentHash</c> is the chain's hash before it, null when that is not known; <c>HasContent</c> says
/// that there is text, a tool call or reasoning: something to continue from. <c>Bytes</c> is how much of that is counted as stored.
/// </summary>
internal sealed record AnswerState(
    string MessageId, string? ParentId, long Seq, string Status, int Tokens, int PromptTokens, string? RequestId, byte[]? ParentHash, bool HasContent, long Bytes)
{
    /// <summary>Called when the answer's text is saved: where somebody has gone on from what there was of it, paths through it are others now.</summary>
    public void EndEpochWhereFollowed(PreparedConnection database)
    {
        if (StoredMessage.HasFollower(database, MessageId))
        {
            database.Epoch!.End();
        }
    }
}
