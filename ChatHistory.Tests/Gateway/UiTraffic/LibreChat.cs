using System.Text.Encodings.Web;
using System.Text.Json;

namespace ChatHistory.Tests.Gateway.UiTraffic;

/// <summary>
/// LibreChat with a custom endpoint (danny-avila/LibreChat, packages/api/src/utils/env.ts; danny-avila/agents, src/utils/title.ts): the official
/// npm client under LangChain. Answers come back as arrays of text parts. Its title call has the conversation's own headers and no mark.
/// </summary>
internal sealed class LibreChat(HttpClient client, string user, string conversationId) : SimulatedUi(client)
{
    private static readonly JsonSerializerOptions s_asJavaScript = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly (string, string)[] _headers =
    [
        ("User-Agent", "OpenAI/JS 5.12.2"), ("Accept", "application/json"), ("x-stainless-lang", "js"), ("x-stainless-package-version", "5.12.2"), ("x-stainless-runtime", "node"),
        ("x-stainless-retry-count", "0"), ("X-User-Id", user), ("X-Conversation-Id", conversationId),
    ];

    public async Task WriteTitleAsync()
    {
        var prompt = "Provide a concise, 5-word-or-less title for the conversation, using title case conventions. Only return the title itself.\n\nConversation:\n"
            + string.Join('\n', Path.Take(2).Select(message => $"{(message.Role == "user" ? "User" : "AI")}: {message.Content}"));
        await TaskAsync($$"""{"model":"{{Processes.RunningSystem.Model}}","user":"{{user}}","messages":[{"role":"user","content":{{Text(prompt)}}}]}""", _headers);
    }

    protected override (string Body, (string Name, string Value)[] Headers) Request(string? simulator)
    {
        var messages = Path.Select(message => message.Role == "user"
            ? $$"""{"role":"user","content":{{Text(message.Content)}}}"""
            : $$"""{"role":"assistant","content":[{"type":"text","text":{{Text(message.Content)}}}]}""");
        return (
            $$"""{"model":"{{Processes.RunningSystem.Model}}","stream":true,"stream_options":{"include_usage":true},"user":"{{user}}",{{(simulator is null ? "" : $"\"simulator\":{simulator},")}}"messages":[{{string.Join(',', messages)}}]}""",
            _headers);
    }

    protected override string AsKept(string content) => content;

    private static string Text(string text) => JsonSerializer.Serialize(text, s_asJavaScript);
}
