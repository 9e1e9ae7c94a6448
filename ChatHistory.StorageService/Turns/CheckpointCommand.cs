using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>Saves a partial answer and renews the turn's lease. A turn that was taken for interrupted is in progress again.</summary>
internal sealed class CheckpointCommand(Checkpoint checkpoint, UserScope scope, int size) : TurnCommand(scope, size)
{
    private const string Renew = "UPDATE messages SET status = 'in_progress', updated_at = ?2 WHERE message_id = ?1";

    private const string Save =
        """
        UPDATE messages SET status = 'in_progress', updated_at = ?2, content = ?3, content_parts = ?4, tool_calls = ?5,
            name = ?6, reasoning = ?7, extra = ?8, prefix_hash = ?9
        WHERE message_id = ?1
        """;

    public override string Operation => "checkpoint";

    protected override WriteResult Write(PreparedConnection database, string now)
    {
        if (OpenTurn.Find(database, checkpoint.SessionId, checkpoint.AnswerMessageId) is not { } turn || !Scope.Allows(turn.UserId))
        {
            return SessionNotFound();
        }

        if (turn.Answer is not { } answer)
        {
            return MessageNotFound();
        }

        // A checkpoint that was overtaken by the end of its turn.
        if (answer.Status is not (MessageStatus.InProgress or MessageStatus.Interrupted))
        {
            return Done();
        }

        turn.MoveHead(database, continuable: false);
        FrameRows.Insert(database, checkpoint.AnswerMessageId, checkpoint.Frames);
        if (checkpoint.Answer is { } content)
        {
            OwnerCounters.CountChange(database, turn.UserId, OwnerCounters.BytesOf(content) - answer.Bytes);
            database.Execute(
                Save,
                checkpoint.AnswerMessageId, now, content.Content, content.ContentPartsOrNull(), content.ToolCallsOrNull(), content.NameOrNull(),
                content.ReasoningOrNull(), content.ExtraOrNull(), PrefixHash.After(answer.ParentHash, content.Digest.Span));
            answer.EndEpochWhereFollowed(database);
        }
        else
        {
            database.Execute(Renew, checkpoint.AnswerMessageId, now);
        }

        return Done();
    }

    private static WriteResult Done() => new() { Checkpointed = new() };
}
