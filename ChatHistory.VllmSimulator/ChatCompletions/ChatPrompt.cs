using System.Text;
using System.Text.Json;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>
/// A conversation as the model would read it, by this chat template:
/// <code>
/// tools:     &lt;|tools|&gt; and the JSON of every tool
/// messages:  &lt;|role|&gt; text name(arguments)… &lt;|end|&gt;
/// at last:   &lt;|assistant|&gt;
/// </code>
/// Each piece is tokenized by itself. <c>usage.prompt_tokens</c> and <c>/tokenize</c> both come from here.
/// </summary>
internal static class ChatPrompt
{
    private delegate void PieceVisitor(ReadOnlySpan<byte> piece);

    public static int CountTokens(IReadOnlyList<ChatMessage> messages, IReadOnlyList<ChatTool>? tools)
    {
        var count = 0;
        Visit(messages, tools, piece => count += SimulatorTokenizer.Count(piece));
        return count;
    }

    public static List<long> Encode(IReadOnlyList<ChatMessage> messages, IReadOnlyList<ChatTool>? tools)
    {
        var ids = new List<long>();
        Visit(messages, tools, piece => SimulatorTokenizer.Encode(piece, ids));
        return ids;
    }

    /// <summary>A fingerprint of everything that the messages say, in order: two equal ones mean that the model saw the same history.</summary>
    public static ulong Hash(IReadOnlyList<ChatMessage> messages)
    {
        var hash = Fnv.Start;
        Visit(messages, null, piece => hash = Fnv.Append(hash, piece));
        return hash;
    }

    public static string ArgumentsText(JsonElement? arguments) => arguments switch
    {
        null => "",
        { ValueKind: JsonValueKind.String } text => text.GetString()!,
        { } json => json.GetRawText(),
    };

    private static void Visit(IReadOnlyList<ChatMessage> messages, IReadOnlyList<ChatTool>? tools, PieceVisitor visit)
    {
        if (tools is { Count: > 0 })
        {
            visit("<|tools|>"u8);
            foreach (var tool in tools)
            {
                visit(Encoding.UTF8.GetBytes($"{tool.Function?.Name}{ArgumentsText(tool.Function?.Parameters)}"));
            }
        }

        foreach (var message in messages)
        {
            visit("<|"u8);
            visit(RoleBytes(message.Role));
            visit("|>"u8);
            visit(message.Text);
            foreach (var call in message.ToolCalls ?? [])
            {
                visit(Encoding.UTF8.GetBytes($"{call.Function?.Name}({ArgumentsText(call.Function?.Arguments)})"));
            }

            visit("<|end|>"u8);
        }

        visit("<|assistant|>"u8);
    }

    private static ReadOnlySpan<byte> RoleBytes(string role) => role switch
    {
        "user" => "user"u8,
        "assistant" => "assistant"u8,
        "system" => "system"u8,
        _ => Encoding.UTF8.GetBytes(role),
    };
}
