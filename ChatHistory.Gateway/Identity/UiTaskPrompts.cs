using System.Text.Json;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// Recognises a UI's own calls (a title, tags, follow-ups) by their prompts. It is needed because the UIs mark them only where an administrator
/// has configured a header for it: Open WebUI's <c>X-OpenWebUI-Task</c> is not sent by default, and LibreChat has nothing of the kind, so that its
/// title call comes with the conversation's own id.
/// </summary>
/// <remarks>
/// The default prompts, at whose place an administrator may have put others, which are then stored like any message:
/// <code>
/// Open WebUI   ### Task:\n… ### Output:\n… &lt;chat_history&gt;…&lt;/chat_history&gt;          (backend/open_webui/config.py, DEFAULT_*_PROMPT_TEMPLATE)
/// LibreChat    Provide a concise, 5-word-or-less title … Conversation:\n…               (danny-avila/agents, src/utils/title.ts)
///              Analyze this conversation and provide:\n1. The detected language …       (the same, with titleMethod structured or functions)
/// </code>
/// A person who asks the same words in a chat is not mistaken for a UI: theirs is a stream, or has other messages before it.
/// </remarks>
internal static class UiTaskPrompts
{
    private static readonly (string Beginning, string Inside)[] s_prompts =
    [
        ("### Task:\n", "<chat_history>"),
        ("### Task:\nYou are an autocompletion system", "<text>"),
        ("Provide a concise, 5-word-or-less title for the conversation", "Conversation:\n"),
        ("Analyze this conversation and provide:\n1. The detected language of the conversation\n2. A concise title", "\n"),
    ];

    /// <param name="body">The body of a chat completion request.</param>
    public static bool IsTask(JsonElement body)
    {
        if (body.ValueKind != JsonValueKind.Object
            || (body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True)
            || !body.TryGetProperty("messages", out var messages)
            || messages.ValueKind != JsonValueKind.Array
            || messages.GetArrayLength() != 1
            || TextOf(messages[0]) is not { } text)
        {
            return false;
        }

        foreach (var (beginning, inside) in s_prompts)
        {
            if (text.StartsWith(beginning, StringComparison.Ordinal) && text.Contains(inside, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    private static string? TextOf(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object
            || !message.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String || !role.ValueEquals("user")
            || !message.TryGetProperty("content", out var content))
        {
            return null;
        }

        return content.ValueKind switch
        {
            JsonValueKind.String => content.GetString(),
            JsonValueKind.Array when content.GetArrayLength() == 1
                && content[0].ValueKind == JsonValueKind.Object
                && content[0].TryGetProperty("text", out var text)
                && text.ValueKind == JsonValueKind.String => text.GetString(),
            _ => null,
        };
    }
}
