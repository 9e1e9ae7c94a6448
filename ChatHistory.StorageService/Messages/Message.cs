using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Messages;

/// <summary>A row of <c>messages</c>. The writer writes rows by <see cref="MessageRow"/>; this type is what queries read.</summary>
internal sealed class Message
{
    /// <summary>The columns that <see cref="Read"/> reads, in its order: all that the contract's message has.</summary>
    public const string Columns =
        """
        message_id, session_id, role, content, model, tokens, created_at, parent_id, seq, status,
        content_parts, tool_calls, tool_call_id, name, reasoning, extra,
        finish_reason, prompt_tokens, ttft_ms, duration_ms, completion_id, request_id, trace_id, error, metadata, request
        """;

    // As of a session, no more of somebody else's message is read than whose it is.
    internal const string SelectInScope = $"SELECT {Columns} FROM messages m WHERE message_id = ?1 AND {IsInScope}";

    /// <summary>In SQL: whether a message <c>m</c> is in the scope whose owner is <c>?2</c>; null is everybody's.</summary>
    internal const string IsInScope = "(?2 IS NULL OR EXISTS (SELECT 1 FROM sessions s WHERE s.session_id = m.session_id AND s.user_id = ?2))";

    public required string MessageId { get; init; }

    public required string SessionId { get; init; }

    public required string Role { get; init; }

    public required string Content { get; init; }

    public string? Model { get; init; }

    public int? Tokens { get; init; }

    public string? CreatedAt { get; init; }

    /// <summary>The message before this one on its path; null for the first.</summary>
    public string? ParentId { get; init; }

    /// <summary>Position in the session, from 1. Null only inside an INSERT of another tool, until the trigger gives it.</summary>
    public long? Seq { get; init; }

    /// <summary>One of <see cref="MessageStatus"/>'s texts.</summary>
    public required string Status { get; init; }

    public string? ContentParts { get; init; }

    public string? ToolCalls { get; init; }

    public string? ToolCallId { get; init; }

    public string? Name { get; init; }

    public string? Reasoning { get; init; }

    /// <summary>JSON object: every member of the message on the wire that has no column of its own.</summary>
    public string? Extra { get; init; }

    /// <summary>SHA-256 chained over the path up to this message (<see cref="PrefixHash"/>); null where a digest is missing.</summary>
    public byte[]? PrefixHash { get; init; }

    public string? FinishReason { get; init; }

    public int? PromptTokens { get; init; }

    public double? TtftMs { get; init; }

    public double? DurationMs { get; init; }

    public string? CompletionId { get; init; }

    public string? RequestId { get; init; }

    public string? TraceId { get; init; }

    /// <summary>JSON: <c>{"code":"upstream_error","message":"..."}</c>.</summary>
    public string? Error { get; init; }

    /// <summary>The session's owner, on answers only: for the list of a user's completions.</summary>
    public string? UserId { get; init; }

    /// <summary>JSON object of the client's.</summary>
    public string? Metadata { get; init; }

    /// <summary>JSON object: the parameters of the request that this row answers.</summary>
    public string? Request { get; init; }

    /// <summary>How many messages at the beginning of its path the model was not shown, because they did not fit.</summary>
    public int? Omitted { get; init; }

    /// <summary>When the row was last written; the lease of a turn in progress.</summary>
    public string? UpdatedAt { get; init; }

    /// <summary>The message, or null when there is none or it is not in the scope.</summary>
    public static Message? Find(PreparedConnection database, string messageId, UserScope scope)
    {
        using var row = database.Query(SelectInScope, messageId, scope.Owner);
        return row.Read() ? Read(row) : null;
    }

    /// <summary>All messages that a query finds.</summary>
    public static List<Message> ReadAll(Rows rows, CancellationToken cancellationToken)
    {
        List<Message> messages = [];
        using (rows)
        {
            while (rows.Read())
            {
                cancellationToken.ThrowIfCancellationRequested();
                messages.Add(Read(rows));
            }
        }

        return messages;
    }

    /// <summary>Reads <see cref="Columns"/>.</summary>
    public static Message Read(Rows row) => new()
    {
        MessageId = row.GetString(0),
        SessionId = row.GetString(1),
        Role = row.GetString(2),
        Content = row.GetString(3),
        Model = row.GetText(4),
        Tokens = row.IsNull(5) ? null : row.GetInt32(5),
        CreatedAt = row.GetText(6),
        ParentId = row.GetText(7),
        Seq = row.IsNull(8) ? null : row.GetInt64(8),
        Status = row.GetString(9),
        ContentParts = row.GetText(10),
        ToolCalls = row.GetText(11),
        ToolCallId = row.GetText(12),
        Name = row.GetText(13),
        Reasoning = row.GetText(14),
        Extra = row.GetText(15),
        FinishReason = row.GetText(16),
        PromptTokens = row.IsNull(17) ? null : row.GetInt32(17),
        TtftMs = row.IsNull(18) ? null : row.GetDouble(18),
        DurationMs = row.IsNull(19) ? null : row.GetDouble(19),
        CompletionId = row.GetText(20),
        RequestId = row.GetText(21),
        TraceId = row.GetText(22),
        Error = row.GetText(23),
        Metadata = row.GetText(24),
        Request = row.GetText(25),
    };
}
