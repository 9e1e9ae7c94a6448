using System.Text.Json;
using ChatHistory.Storage.V1;

namespace ChatHistory.Tests.Gateway.Context;

/// <summary>What model servers and chat templates ask of a chat with tool calls, told anew and not by the code under test.</summary>
internal static class ChatRule
{
    /// <summary>What breaks the rule; null when nothing does.</summary>
    public static string? Violation(IEnumerable<MessageContent> messages)
    {
        var open = new HashSet<string>();
        foreach (var message in messages)
        {
            if (message.Role == "tool")
            {
                if (!open.Remove(message.ToolCallId))
                {
                    return $"no call waits for {message.ToolCallId}";
                }

                continue;
            }

            if (open.Count > 0)
            {
                return $"without a result: {string.Join(',', open)}";
            }

            foreach (var call in message is { Role: "assistant", HasToolCalls: true } ? JsonElement.Parse(message.ToolCalls).EnumerateArray().ToArray() : [])
            {
                var id = call.GetProperty("id").GetString()!;
                if (id.Length == 0 || !open.Add(id) || call.GetProperty("type").GetString() != "function")
                {
                    return $"{call} is incomplete";
                }

                var function = call.GetProperty("function");
                if (function.TryGetProperty("arguments", out var arguments) && arguments.ValueKind == JsonValueKind.String && arguments.GetString() is { Length: > 0 } text)
                {
                    arguments = JsonElement.Parse(text);
                }

                if (arguments.ValueKind is not (JsonValueKind.Object or JsonValueKind.Undefined or JsonValueKind.Null or JsonValueKind.String))
                {
                    return $"{call} has arguments that no template reads";
                }
            }

            if (message.HasContentParts)
            {
                JsonElement.Parse(message.ContentParts);
            }
        }

        return open.Count > 0 ? $"without a result at the end: {string.Join(',', open)}" : null;
    }
}
