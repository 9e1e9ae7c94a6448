using System.Text;
using System.Text.Json;
using ChatHistory.VllmSimulator.Schemas;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>Whether the simulated model calls tools, and which.</summary>
/// <remarks>
/// <list type="bullet">
/// <item><c>tool_choice</c> names a tool, or the directive <c>simulator.tool</c> does: that one.</item>
/// <item><c>tool_choice: "required"</c>: those that the last user message names, else the first.</item>
/// <item><c>"auto"</c> (the default): those that the last user message names, unless the last message is a tool's result.</item>
/// <item><c>"none"</c>, or no tools: none.</item>
/// </list>
/// "Names" means that the message contains the tool's name, in any case. <c>parallel_tool_calls: false</c> keeps the first.
/// Arguments are a sample of the tool's <c>parameters</c>: see <see cref="SchemaSampler"/>.
/// </remarks>
internal static class ToolRule
{
    public static IReadOnlyList<FunctionDefinition> Choose(ChatCompletionRequest request)
    {
        if (request.Tools is not { Count: > 0 } tools)
        {
            return [];
        }

        var functions = tools.Select(tool => tool.Function).OfType<FunctionDefinition>().ToArray();
        var choice = request.ToolChoice;
        if (NamedTool(choice) is { } name || (name = request.Simulator?.Tool) is not null)
        {
            return [.. functions.Where(function => function.Name == name).Take(1)];
        }

        var isRequired = choice is { ValueKind: JsonValueKind.String } && choice.Value.ValueEquals("required"u8);
        var isNone = choice is { ValueKind: JsonValueKind.String } && choice.Value.ValueEquals("none"u8);
        if (isNone || (!isRequired && request.Messages[^1].Role == "tool"))
        {
            return [];
        }

        var text = Encoding.UTF8.GetString(AnswerRule.LastUserText(request.Messages));
        var named = functions.Where(function => function.Name is { Length: > 0 } && text.Contains(function.Name, StringComparison.OrdinalIgnoreCase)).ToArray();
        var chosen = named.Length == 0 && isRequired ? functions[..1] : named;
        return request.ParallelToolCalls is false ? [.. chosen.Take(1)] : chosen;
    }

    public static byte[] Arguments(FunctionDefinition function) => SchemaSampler.Sample(function.Parameters);

    /// <summary>The name in <c>{"type":"function","function":{"name":"…"}}</c>.</summary>
    public static string? NamedTool(JsonElement? choice) =>
        choice is { ValueKind: JsonValueKind.Object } named
        && named.TryGetProperty("function", out var function)
        && function.ValueKind is JsonValueKind.Object
        && function.TryGetProperty("name", out var name)
        && name.ValueKind is JsonValueKind.String
            ? name.GetString()
            : null;
}
