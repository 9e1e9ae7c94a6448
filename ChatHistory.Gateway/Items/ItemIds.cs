using System.Globalization;

namespace ChatHistory.Gateway.Items;

/// <summary>
/// OpenAI's ids for what is stored here. They are our own ids with a prefix, so that nothing has to be kept to find the one by the other:
/// <c>conv_{session}</c>, <c>resp_{answer}</c>, and for the items of a message <c>msg_{message}</c>, <c>rs_{message}</c> (its reasoning),
/// <c>fc_{message}_{index}</c> (one of its tool calls) and <c>fco_{message}</c> (a tool's output).
/// </summary>
internal static class ItemIds
{
    private const string ConversationPrefix = "conv_";
    private const string ResponsePrefix = "resp_";
    private const string MessagePrefix = "msg_";
    private const string ReasoningPrefix = "rs_";
    private const string CallPrefix = "fc_";
    private const string OutputPrefix = "fco_";

    public static string Conversation(string sessionId) => ConversationPrefix + sessionId;

    public static string Response(string answerMessageId) => ResponsePrefix + answerMessageId;

    public static string Message(string messageId) => MessagePrefix + messageId;

    public static string Reasoning(string messageId) => ReasoningPrefix + messageId;

    public static string FunctionCall(string messageId, int index) => string.Create(CultureInfo.InvariantCulture, $"{CallPrefix}{messageId}_{index}");

    public static string FunctionCallOutput(string messageId) => OutputPrefix + messageId;

    /// <summary>The session behind a conversation's id; null when it is none of ours.</summary>
    public static string? SessionOf(string conversationId) => After(ConversationPrefix, conversationId);

    /// <summary>The answer's message behind a response's id; null when it is none of ours.</summary>
    public static string? AnswerOf(string responseId) => After(ResponsePrefix, responseId);

    /// <summary>The message that an item belongs to; null when the id is none of ours.</summary>
    public static string? MessageOf(string itemId)
    {
        if (After(CallPrefix, itemId) is { } call)
        {
            var end = call.LastIndexOf('_');
            return end > 0 ? call[..end] : null;
        }

        return After(MessagePrefix, itemId) ?? After(ReasoningPrefix, itemId) ?? After(OutputPrefix, itemId);
    }

    private static string? After(string prefix, string id) =>
        id.Length > prefix.Length && id.StartsWith(prefix, StringComparison.Ordinal) ? id[prefix.Length..] : null;
}
