using System.Text;
using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Users;

/// <summary>
/// <c>users.session_count</c> and <c>users.stored_bytes</c>, by the commands that run without triggers (<see cref="Writing.WriteCommand.CountsItself"/>).
/// What counts is what the triggers of the migration KeysAndQuotas count: the bytes of texts, not of ids and figures.
/// </summary>
internal static class OwnerCounters
{
    /// <summary>In SQL: how much of a message <c>m</c> is text of its author, and so replaced when an answer is saved.</summary>
    public const string BytesOfContent =
        "coalesce(octet_length(m.content), 0) + coalesce(octet_length(m.content_parts), 0) + coalesce(octet_length(m.tool_calls), 0) + coalesce(octet_length(m.reasoning), 0) + coalesce(octet_length(m.extra), 0)";

    private const string AddSession =
        """
        INSERT INTO users (user_id, created_at, last_active, session_count, stored_bytes) VALUES (?1, ?2, ?2, 1, ?3)
        ON CONFLICT (user_id) DO UPDATE SET session_count = session_count + 1, stored_bytes = stored_bytes + excluded.stored_bytes
        """;

    // A statement of its own, which mostly changes nothing: last_active has an index, and SQLite writes that anew whether or not the value changed.
    private const string MarkActive = "UPDATE users SET last_active = ?2 WHERE user_id = ?1 AND coalesce(last_active, '') < ?2";

    private const string Add = "UPDATE users SET stored_bytes = stored_bytes + ?2 WHERE user_id = ?1";

    public static long BytesOf(MessageContent content) =>
        BytesOf(content.Content) + BytesOf(content.ContentParts) + BytesOf(content.ToolCalls) + BytesOf(content.Reasoning) + BytesOf(content.Extra);

    public static long BytesOf(string? text) => text is null ? 0 : Encoding.UTF8.GetByteCount(text);

    /// <summary>Counts a new session, for a user that may be new too.</summary>
    public static void CountSession(PreparedConnection database, string userId, long bytes, string now)
    {
        database.Execute(AddSession, userId, now, bytes);
        Mark(database, userId, now);
    }

    /// <summary>Counts new messages, which are a sign of life.</summary>
    public static void CountMessages(PreparedConnection database, string userId, long bytes, string now)
    {
        CountChange(database, userId, bytes);
        Mark(database, userId, now);
    }

    /// <summary>Counts what an answer has grown or shrunk by.</summary>
    public static void CountChange(PreparedConnection database, string userId, long bytes)
    {
        if (bytes != 0)
        {
            database.Execute(Add, userId, bytes);
        }
    }

    /// <summary>Notes a sign of life: to the second, as SQLite's own CURRENT_TIMESTAMP has it.</summary>
    private static void Mark(PreparedConnection database, string userId, string now) => database.Execute(MarkActive, userId, now[.."2026-01-31 23:59:59".Length]);
}
