using ChatHistory.StorageService.Database;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Sessions;

/// <summary>A row of <c>sessions</c>: one conversation of one user.</summary>
internal sealed class Session
{
    public const string DefaultTitle = "New Conversation";

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
