using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Messages;

/// <summary>
/// Deletes a message, or all choices of a completion. What followed it follows the message before it, and so do the heads and forks that
/// stood on it. Costs what lies behind it, forks included: the hash of each of those messages is taken back, for it chains over one that is gone.
/// </summary>
/// <remarks>
/// The hashes are not computed anew: they chain digests, and of a message only the chain's hash is stored. Such a branch is still continued
/// by its session, only no longer recognised by its transcript, which no client has any more in that form.
/// </remarks>
internal sealed class DeleteMessageCommand(V1.DeleteMessageRequest request, UserScope scope) : WriteCommand
{
    private const string Select =
        """
        SELECT m.session_id, m.parent_id, m.completion_id
        FROM messages m JOIN sessions s ON s.session_id = m.session_id
        WHERE m.message_id = ?1 AND s.user_id = coalesce(?2, s.user_id)
        """;

    private const string SelectChoices =
        "SELECT message_id FROM messages WHERE completion_id = ?1 AND session_id = ?2 AND parent_id IS ?3 ORDER BY seq";

    private const string SelectSession = "SELECT forked_from FROM sessions WHERE session_id = ?1 AND user_id = coalesce(?2, user_id)";

    private const string Below =
        """
        (WITH RECURSIVE below (message_id) AS (
            SELECT ?1
            UNION
            SELECT m.message_id FROM below b JOIN messages m ON m.parent_id = b.message_id)
         SELECT message_id FROM below)
        """;

    // Whoever forked at the message or below it shows it too.
    private const string MoveForks =
        $"""
        UPDATE sessions
        SET message_count = message_count - 1,
            head_message_id = CASE WHEN head_message_id = ?1 THEN ?2 ELSE head_message_id END,
            forked_from = CASE WHEN forked_from = ?1 THEN ?2 ELSE forked_from END
        WHERE forked_from IN {Below}
        """;

    private const string MoveHead = "UPDATE sessions SET head_message_id = ?2 WHERE session_id = ?3 AND head_message_id = ?1";

    private const string ForgetHashes = $"UPDATE messages SET prefix_hash = NULL WHERE message_id IN {Below}";

    private const string MoveChildren = "UPDATE messages SET parent_id = ?2 WHERE parent_id = ?1";

    private const string KeepRest =
        "UPDATE messages SET content = ?2, content_parts = ?3, tool_calls = ?4, reasoning = ?5, extra = ?6 WHERE message_id = ?1";

    // The session's own counter: the trigger messages_deleted.
    private const string Delete = "DELETE FROM messages WHERE message_id = ?1";

    public override int Size => request.CalculateSize();

    /// <summary>What was not found; null when it was deleted, or when <see cref="Fault"/> says why not.</summary>
    public string? Missing { get; private set; }

    /// <summary>Why the message cannot be deleted so.</summary>
    public string? Fault { get; private set; }

    public override bool MayUseBallast => true;

    public override void Execute(PreparedConnection database, string now)
    {
        (Missing, Fault) = (null, null);
        var isFork = false;
        string? forkedFrom = null;
        if (request.SessionId.Length > 0)
        {
            using var session = database.Query(SelectSession, request.SessionId, scope.Owner);
            if (!session.Read())
            {
                Missing = "session";
                return;
            }

            isFork = !session.IsNull(0);
            forkedFrom = isFork ? session.GetString(0) : null;
        }

        string sessionId;
        string? parentId, completionId;
        using (var reader = database.Query(Select, request.MessageId, scope.Owner))
        {
            if (!reader.Read())
            {
                Missing = "message";
                return;
            }

            sessionId = reader.GetString(0);
            parentId = reader.GetText(1);
            completionId = reader.GetText(2);
        }

        if (request.SessionId.Length > 0 && request.SessionId != sessionId)
        {
            var isInherited = isFork && StoredPath.ReadPlaces(database, request.SessionId, forkedFrom).Exists(place => place.MessageId == request.MessageId);
            Fault = isInherited ? $"belongs to session {sessionId}, from which this one was forked; delete it there" : null;
            Missing = isInherited ? null : "message";
            return;
        }

        // The hashes below say it too, but not behind a gap that another program has left.
        database.Epoch!.End();
        if (request.Rest is { } rest)
        {
            database.Execute(
                KeepRest,
                request.MessageId, rest.Content, rest.ContentPartsOrNull(), rest.ToolCallsOrNull(), rest.ReasoningOrNull(), rest.ExtraOrNull());
            database.Execute(ForgetHashes, request.MessageId);
            return;
        }

        foreach (var messageId in request.AllChoices && completionId is not null ? ChoicesOf(database, completionId, sessionId, parentId) : [request.MessageId])
        {
            database.Execute(MoveForks, messageId, parentId);
            database.Execute(MoveHead, messageId, parentId, sessionId);
            database.Execute(ForgetHashes, messageId);
            database.Execute(MoveChildren, messageId, parentId);
            database.Execute(Delete, messageId);
        }
    }

    private static List<string> ChoicesOf(PreparedConnection database, string completionId, string sessionId, string? parentId)
    {
        var choices = new List<string>();
        using var reader = database.Query(SelectChoices, completionId, sessionId, parentId);
        while (reader.Read())
        {
            choices.Add(reader.GetString(0));
        }

        return choices;
    }
}
