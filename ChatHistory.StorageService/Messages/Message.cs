namespace ChatHistory.StorageService.Messages;

/// <summary>A row of <c>messages</c>. The writer writes rows by <see cref="MessageRow"/>; this type is what queries read.</summary>
internal sealed class Message
{
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
}
