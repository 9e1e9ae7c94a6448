using ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Messages;

/// <summary>The texts of <c>messages.status</c>.</summary>
internal static class MessageStatus
{
    public const string InProgress = "in_progress";
    public const string Completed = "completed";
    public const string Interrupted = "interrupted";

    /// <summary>The text of a status that ends a turn; null for one that does not.</summary>
    public static string? TextOfEnd(TurnStatus status) => status switch
    {
        TurnStatus.Completed => Completed,
        TurnStatus.Incomplete => "incomplete",
        TurnStatus.Cancelled => "cancelled",
        TurnStatus.Failed => "failed",
        TurnStatus.Interrupted => Interrupted,
        _ => null,
    };

    public static TurnStatus Parse(string text) => text switch
    {
        InProgress => TurnStatus.InProgress,
        Completed => TurnStatus.Completed,
        "incomplete" => TurnStatus.Incomplete,
        "cancelled" => TurnStatus.Cancelled,
        "failed" => TurnStatus.Failed,
        Interrupted => TurnStatus.Interrupted,
        _ => TurnStatus.Unspecified,
    };
}
