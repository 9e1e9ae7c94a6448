using System.Globalization;
using System.Text;
using ChatHistory.VllmSimulator.Generation;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>
/// What the simulated model says: a function of the messages and the seed, nothing else. A test can compute it, and read from an
/// answer which history reached the model.
/// </summary>
/// <remarks>
/// <code>
/// text       I am a simulated model. You said: “{last user text}”. I read {n} messages ({counts}), history {hash}, seed {seed}.
/// tool       I am a simulated model. The tool said: “{last tool text}”. I read …      when the last message is a tool's result
/// reasoning  The last message is “{its text}”. I will answer by rule.
/// </code>
/// Quoted text is cut after <see cref="MaxQuote"/> characters ("…"). <c>counts</c> names each role in the order of its first
/// appearance: "1 system, 2 user, 1 assistant". <c>hash</c> is <see cref="ChatPrompt.Hash"/> in 16 hex digits. <c>seed</c> is the
/// request's, or 0; choice i of n uses seed + i. The curly quotes are there so that every answer has characters of several bytes.
/// </remarks>
internal static class AnswerRule
{
    public const int MaxQuote = 256;

    public static string Text(IReadOnlyList<ChatMessage> messages, long seed)
    {
        var isToolResult = messages[^1].Role == "tool";
        var verb = isToolResult ? "The tool said" : "You said";
        var quoted = isToolResult ? messages[^1].Text : LastUserText(messages);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"I am a simulated model. {verb}: “{Quote(quoted)}”. I read {messages.Count} {(messages.Count == 1 ? "message" : "messages")} ({RoleCounts(messages)}), history {ChatPrompt.Hash(messages):x16}, seed {seed}.");
    }

    public static string Reasoning(IReadOnlyList<ChatMessage> messages) => $"The last message is “{Quote(messages[^1].Text)}”. I will answer by rule.";

    /// <summary>The text of the last message of role <c>user</c>; empty when there is none.</summary>
    public static ReadOnlySpan<byte> LastUserText(IReadOnlyList<ChatMessage> messages)
    {
        for (var i = messages.Count - 1; i >= 0; i--)
        {
            if (messages[i].Role == "user")
            {
                return messages[i].Text;
            }
        }

        return default;
    }

    /// <summary>An id that is the same for the same history and differs between histories, choices and calls.</summary>
    public static string ToolCallId(IReadOnlyList<ChatMessage> messages, long seed, int index)
    {
        var hash = Fnv.Append(ChatPrompt.Hash(messages), seed);
        return string.Create(CultureInfo.InvariantCulture, $"chatcmpl-tool-{hash:x16}{Fnv.Append(hash, index):x16}");
    }

    private static string Quote(ReadOnlySpan<byte> utf8)
    {
        // At most three bytes make one UTF-16 unit, so this much is always enough to see whether the text is too long.
        var enough = utf8[..Math.Min(utf8.Length, (MaxQuote + 2) * 3)];
        var text = Encoding.UTF8.GetString(enough);
        if (text.Length <= MaxQuote)
        {
            return text;
        }

        var end = char.IsHighSurrogate(text[MaxQuote - 1]) ? MaxQuote - 1 : MaxQuote;
        return $"{text.AsSpan(0, end)}…";
    }

    private static string RoleCounts(IReadOnlyList<ChatMessage> messages) => string.Join(
        ", ",
        messages.CountBy(message => message.Role).Select(role => string.Create(CultureInfo.InvariantCulture, $"{role.Value} {role.Key}")));
}
