using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Messages;

/// <summary>A new row of <c>messages</c>, as the writer adds it.</summary>
/// <remarks>
/// A session's rows lie side by side in the file, however long the session went on while others did, because the table is ordered by rowid and a rowid begins
/// with its session's: <c>sessions.rowid * 2^20 + seq</c>. Its last page is then read in a handful of reads from a cold disk, not one for each message. The
/// rowid is a matter of where a row lies and of nothing else: whoever writes rows with others (older databases, other tools), or has taken a place, does no
/// harm. Such a row goes to the table's end (decision 31).
/// </remarks>
internal readonly record struct MessageRow(string MessageId, string SessionId, string? ParentId, long Seq, MessageContent Content)
{
    private const string Insert =
        """
        INSERT INTO messages (
            rowid, message_id, session_id, role, content, model, tokens, created_at, parent_id, seq, status,
            content_parts, tool_calls, tool_call_id, name, reasoning, extra, prefix_hash,
            finish_reason, prompt_tokens, ttft_ms, duration_ms, completion_id, request_id, trace_id, error, updated_at,
            user_id, metadata, request)
        VALUES (
            (SELECT iif(EXISTS (SELECT 1 FROM messages WHERE rowid = place), NULL, place)
             FROM (SELECT (rowid << 20) + ?9 AS place FROM sessions WHERE session_id = ?2)),
            ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?7, ?26, ?27, ?28)
        """;

    public string Status { get; init; } = MessageStatus.Completed;

    public string? Model { get; init; }

    public int Tokens { get; init; }

    public byte[]? PrefixHash { get; init; }

    public string? FinishReason { get; init; }

    public int? PromptTokens { get; init; }

    public double? TtftMs { get; init; }

    public double? DurationMs { get; init; }

    public string? CompletionId { get; init; }

    public string? RequestId { get; init; }

    public string? TraceId { get; init; }

    public string? Error { get; init; }

    /// <summary>The session's owner; given on answers only.</summary>
    public string? UserId { get; init; }

    public string? Metadata { get; init; }

    public string? Request { get; init; }

    /// <summary>What it adds to its owner's stored bytes.</summary>
    public long Bytes => OwnerCounters.BytesOf(Content) + OwnerCounters.BytesOf(Metadata) + OwnerCounters.BytesOf(Request);

    public void InsertInto(PreparedConnection database, string now) =>
        database.Execute(
            Insert,
            MessageId, SessionId, Content.Role, Content.Content, Model, Tokens, now, ParentId, Seq, Status,
            Content.ContentPartsOrNull(), Content.ToolCallsOrNull(), Content.ToolCallIdOrNull(), Content.NameOrNull(),
            Content.ReasoningOrNull(), Content.ExtraOrNull(), PrefixHash,
            FinishReason, PromptTokens, TtftMs, DurationMs, CompletionId, RequestId, TraceId, Error,
            UserId, Metadata, Request);
}
