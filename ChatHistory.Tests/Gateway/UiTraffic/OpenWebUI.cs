using System.Globalization;
using System.Text;

namespace ChatHistory.Tests.Gateway.UiTraffic;

/// <summary>
/// Open WebUI 0.6 and later (backend/open_webui/routers/openai.py, tasks.py; utils/headers.py, middleware.py): aiohttp with Python's json.dumps,
/// which writes a space after each separator and everything beyond ASCII as \uXXXX. <c>metadata</c>, <c>chat_id</c> and all else that the
/// browser sends stays there. Answers are kept without the white space around them, and without their reasoning.
/// </summary>
/// <param name="configured">True: the administrator has configured the headers of the connection, too; the task calls are then marked.</param>
internal sealed class OpenWebUI(HttpClient client, string user, string chatId, bool configured) : SimulatedUi(client)
{
    private readonly (string, string)[] _always =
    [
        ("User-Agent", "Python/3.11 aiohttp/3.12.15"), ("Accept", "*/*"),
        ("X-OpenWebUI-User-Name", "Alice%20%C3%84"), ("X-OpenWebUI-User-Id", user), ("X-OpenWebUI-User-Email", "alice@example.com"), ("X-OpenWebUI-User-Role", "user"),
        ("X-OpenWebUI-Chat-Id", chatId),
    ];

    /// <summary>What it asks after each turn, and after the first one.</summary>
    public async Task WriteTitleAndTagsAsync()
    {
        await AskForItselfAsync("title_generation", "Generate a concise, 3-5 word title with an emoji summarizing the chat history.", """{ "title": "your concise title here" }""", ", \"max_tokens\": 1000");
        await AskForItselfAsync("tags_generation", "Generate 1-3 broad tags categorizing the main themes of the chat history.", """{ "tags": ["tag1", "tag2"] }""");
    }

    public Task SuggestFollowUpsAsync() =>
        AskForItselfAsync("follow_up_generation", "Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next.", """{ "follow_ups": ["Question 1?"] }""");

    protected override (string Body, (string Name, string Value)[] Headers) Request(string? simulator) => (
        $$"""{"stream": true, "model": "{{Processes.RunningSystem.Model}}", "messages": [{{string.Join(", ", Path.Select(Message))}}]{{(simulator is null ? "" : $", \"simulator\": {simulator}")}}}""",
        Headers(""));

    protected override string AsKept(string content) => content.Trim();

    private Task AskForItselfAsync(string task, string what, string output, string more = "")
    {
        var recent = Path.TakeLast(6).Select(message => $"{message.Role.ToUpperInvariant()}: {message.Content}");
        var prompt = $"### Task:\n{what}\n### Guidelines:\n- Use the chat's primary language.\n### Output:\nJSON format: {output}\n### Chat History:\n<chat_history>\n{string.Join('\n', recent)}\n</chat_history>";
        return TaskAsync($$"""{"model": "{{Processes.RunningSystem.Model}}", "messages": [{{Message(("user", prompt))}}], "stream": false{{more}}}""", Headers(task));
    }

    private (string, string)[] Headers(string task) => configured
        ? [.. _always, ("X-OpenWebUI-Message-Id", Guid.NewGuid().ToString()), ("X-OpenWebUI-Task", task)]
        : _always;

    private static string Message((string Role, string Content) message) => $$"""{"role": "{{message.Role}}", "content": {{PythonString(message.Content)}}}""";

    /// <summary>A string as json.dumps writes it.</summary>
    private static string PythonString(string text)
    {
        var json = new StringBuilder("\"");
        foreach (var character in text)
        {
            json.Append(character switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                < ' ' or > '~' => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                _ => character,
            });
        }

        return json.Append('"').ToString();
    }
}
