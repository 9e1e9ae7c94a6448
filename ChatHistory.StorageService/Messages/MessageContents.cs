using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Messages;

/// <summary>Between the contract's message content and its columns.</summary>
internal static class MessageContents
{
    /// <summary>The columns that <see cref="Read"/> reads, in its order.</summary>
    public const string Columns = "m.role, m.content, m.content_parts, m.tool_calls, m.tool_call_id, m.name, m.reasoning, m.extra";

    private static readonly HashSet<string> s_roles = ["user", "assistant", "system", "developer", "tool", "function"];

    public static string? ContentPartsOrNull(this MessageContent content) => content.HasContentParts ? content.ContentParts : null;

    public static string? ToolCallsOrNull(this MessageContent content) => content.HasToolCalls ? content.ToolCalls : null;

    public static string? ToolCallIdOrNull(this MessageContent content) => content.HasToolCallId ? content.ToolCallId : null;

    public static string? NameOrNull(this MessageContent content) => content.HasName ? content.Name : null;

    public static string? ReasoningOrNull(this MessageContent content) => content.HasReasoning ? content.Reasoning : null;

    public static string? ExtraOrNull(this MessageContent content) => content.HasExtra ? content.Extra : null;

    public static bool IsInstruction(this MessageContent content) => content.Role is "system" or "developer";

    /// <summary>Equal in all that is stored. Digests are not compared: stored messages do not carry theirs.</summary>
    public static bool SaysTheSameAs(this MessageContent one, MessageContent other) =>
        one.Role == other.Role
        && one.Content == other.Content
        && one.ContentPartsOrNull() == other.ContentPartsOrNull()
        && one.NameOrNull() == other.NameOrNull();

    /// <summary>What is wrong with the content of <paramref name="field"/>; null when nothing is.</summary>
    public static string? Fault(this MessageContent? content, string field) => content switch
    {
        null => $"{field} is missing",
        _ when !s_roles.Contains(content.Role) => $"{field}.role must be one of user, assistant, system, developer, tool, function",
        _ when content.Digest.Length is not (0 or PrefixHash.Length) => $"{field}.digest must have 32 bytes",
        _ => null,
    };

    /// <summary>Reads <see cref="Columns"/> from <paramref name="first"/> on.</summary>
    public static MessageContent Read(Rows reader, int first)
    {
        var content = new MessageContent { Role = reader.GetString(first), Content = reader.GetString(first + 1) };
        if (!reader.IsNull(first + 2))
        {
            content.ContentParts = reader.GetString(first + 2);
        }

        if (!reader.IsNull(first + 3))
        {
            content.ToolCalls = reader.GetString(first + 3);
        }

        if (!reader.IsNull(first + 4))
        {
            content.ToolCallId = reader.GetString(first + 4);
        }

        if (!reader.IsNull(first + 5))
        {
            content.Name = reader.GetString(first + 5);
        }

        if (!reader.IsNull(first + 6))
        {
            content.Reasoning = reader.GetString(first + 6);
        }

        if (!reader.IsNull(first + 7))
        {
            content.Extra = reader.GetString(first + 7);
        }

        return content;
    }
}
