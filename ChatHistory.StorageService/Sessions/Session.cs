using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Sessions;

/// <summary>A row of <c>sessions</c>: one conversation of one user.</summary>
internal sealed class Session
{
    public const string DefaultTitle = "New Conversation";

    /// <summary>The columns that <see cref="Read"/> reads, in its order.</summary>
    public const string Columns =
        """
        session_id, user_id, title, created_at, updated_at, is_active, message_count, last_seq, prompt_tokens, completion_tokens,
        metadata, head_message_id, forked_from
        """;

    // The scope is SQLite's to judge: of somebody else's session no more is read than its owner, so that not even the time tells that it is there.
    internal const string SelectInScope = $"SELECT {Columns} FROM sessions WHERE session_id = ?1 AND (?2 IS NULL OR user_id = ?2)";

    public required string SessionId { get; init; }

    public required string UserId { get; init; }

    public string? Title { get; init; }

    public string? CreatedAt { get; init; }

    /// <summary>The last activity: a turn begun, a message added. Lists are sorted by it.</summary>
    public string? UpdatedAt { get; init; }

    public bool? IsActive { get; init; }

    /// <summary>Kept by the writer, and by triggers for rows that other tools write or delete.</summary>
    public long MessageCount { get; init; }

    /// <summary>The seq given last; never given again, also when its message is deleted.</summary>
    public long LastSeq { get; init; }

    public long PromptTokens { get; init; }

    public long CompletionTokens { get; init; }

    /// <summary>JSON object as the client sent it.</summary>
    public string? Metadata { get; init; }

    /// <summary>The message that the next turn continues from: the end of the path that is replayed.</summary>
    public string? HeadMessageId { get; init; }

    /// <summary>Of a fork: the message of another session from which it continues. The path goes on there; nothing was copied.</summary>
    public string? ForkedFrom { get; init; }

    /// <summary>The session, or null when there is none or it is not in the scope.</summary>
    public static Session? Find(PreparedConnection database, string sessionId, UserScope scope)
    {
        using var row = database.Query(SelectInScope, sessionId, scope.Owner);
        return row.Read() ? Read(row) : null;
    }

    /// <summary>Reads <see cref="Columns"/>.</summary>
    public static Session Read(Rows row) => new()
    {
        SessionId = row.GetString(0),
        UserId = row.GetString(1),
        Title = row.GetText(2),
        CreatedAt = row.GetText(3),
        UpdatedAt = row.GetText(4),
        IsActive = row.IsNull(5) ? null : row.GetBoolean(5),
        MessageCount = row.GetInt64(6),
        LastSeq = row.GetInt64(7),
        PromptTokens = row.GetInt64(8),
        CompletionTokens = row.GetInt64(9),
        Metadata = row.GetText(10),
        HeadMessageId = row.GetText(11),
        ForkedFrom = row.GetText(12),
    };

    public V1.Session ToContract()
    {
        var session = new V1.Session
        {
            SessionId = SessionId,
            UserId = UserId,
            Title = Title ?? "",
            CreatedAt = UtcText.ToTimestamp(CreatedAt),
            UpdatedAt = UtcText.ToTimestamp(UpdatedAt),
            IsActive = IsActive ?? true,
            MessageCount = MessageCount,
            PromptTokens = PromptTokens,
            CompletionTokens = CompletionTokens,
        };
        if (Metadata is not null)
        {
            session.Metadata = Metadata;
        }

        if (HeadMessageId is not null)
        {
            session.HeadMessageId = HeadMessageId;
        }

        if (ForkedFrom is not null)
        {
            session.ForkedFrom = ForkedFrom;
        }

        return session;
    }
}
