using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Messages;

/// <summary>
/// The messages of one completion: what a turn was answered with, more than one where the client asked for it (<c>n</c>). A model server may give a
/// completion's id twice, so only those of one turn belong together.
/// </summary>
internal static class Choices
{
    // "+": found by the completion's id, which few have.
    internal const string SelectFirst =
        $"""
        SELECT {Message.Columns} FROM messages m WHERE completion_id = ?1 AND {Message.IsInScope} AND NOT EXISTS (
            SELECT 1 FROM messages o WHERE o.completion_id = m.completion_id AND +o.session_id = m.session_id AND +o.parent_id IS m.parent_id AND o.seq < m.seq)
        ORDER BY message_id LIMIT 1
        """;

    internal const string SelectOfTurn =
        $"SELECT {Message.Columns} FROM messages WHERE completion_id = ?1 AND +session_id = ?2 AND +parent_id IS ?3 ORDER BY seq";

    /// <summary>The first choice of a completion; of several with that id, the oldest. Null when there is none, or not in the scope.</summary>
    public static Message? FindFirst(PreparedConnection database, string completionId, UserScope scope)
    {
        using var row = database.Query(SelectFirst, completionId, scope.Owner);
        return row.Read() ? Message.Read(row) : null;
    }

    /// <summary>An answer and its alternatives in their order.</summary>
    public static List<Message> Read(PreparedConnection database, Message choice, CancellationToken cancellationToken) =>
        choice.CompletionId is null
            ? [choice]
            : Message.ReadAll(database.Query(SelectOfTurn, choice.CompletionId, choice.SessionId, choice.ParentId), cancellationToken);
}
