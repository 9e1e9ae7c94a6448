using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Items;

/// <summary>
/// A stored message as OpenAI's items. What a model said in one step is one message here and several items there, in this order: its reasoning,
/// its text, its function calls.
/// <code>
/// {"id":"rs_...","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"..."}],"status":"completed"}
/// {"id":"msg_...","type":"message","status":"completed","content":[{"type":"output_text",...}],"role":"assistant"}
/// {"id":"fc_..._0","type":"function_call","status":"completed","arguments":"{}","call_id":"call_1","name":"weather"}
/// {"id":"fco_...","type":"function_call_output","status":"completed","call_id":"call_1","output":"..."}
/// </code>
/// </summary>
internal static class MessageItems
{
    public static IReadOnlyList<JsonObject> Of(Message message) => Of(message.MessageId, message.Content, message.Status);

    public static IReadOnlyList<JsonObject> Of(string messageId, MessageContent message, TurnStatus turn = TurnStatus.Completed)
    {
        var status = Status(turn);
        switch (message.Role)
        {
            case "assistant":
                return Said(messageId, message, status);
            case "tool" or "function":
                var callId = message.HasToolCallId ? message.ToolCallId : message.HasName ? message.Name : "";
                JsonNode output = message.HasContentParts ? ItemContent.Write(message, output: false) : message.Content;
                return [FunctionCallOutput(ItemIds.FunctionCallOutput(messageId), status, callId, output)];
            default:
                return [Message(ItemIds.Message(messageId), status, message.Role, ItemContent.Write(message, output: false))];
        }
    }

    public static JsonObject Message(string id, string status, string role, JsonArray content) =>
        new() { ["id"] = id, ["type"] = "message", ["status"] = status, ["content"] = content, ["role"] = role };

    public static JsonObject Reasoning(string id, string status, JsonArray content) =>
        new() { ["id"] = id, ["type"] = "reasoning", ["summary"] = new JsonArray(), ["content"] = content, ["status"] = status };

    public static JsonObject ReasoningText(string text) => new() { ["type"] = "reasoning_text", ["text"] = text };

    public static JsonObject FunctionCall(string id, string status, string? callId, string? name, string arguments) => new()
    {
        ["id"] = id,
        ["type"] = "function_call",
        ["status"] = status,
        ["arguments"] = arguments,
        // Clients need something to answer to, even where a model server gives no id.
        ["call_id"] = callId ?? id,
        ["name"] = name ?? "",
    };

    /// <summary>An item's own status: a turn that ended early leaves its items incomplete.</summary>
    public static string Status(TurnStatus turn) => turn switch
    {
        TurnStatus.InProgress => "in_progress",
        TurnStatus.Completed or TurnStatus.Unspecified => "completed",
        _ => "incomplete",
    };

    private static List<JsonObject> Said(string messageId, MessageContent message, string status)
    {
        var items = new List<JsonObject>();
        if (message.HasReasoning && message.Reasoning.Length > 0)
        {
            items.Add(Reasoning(ItemIds.Reasoning(messageId), status, new JsonArray(ReasoningText(message.Reasoning))));
        }

        var content = ItemContent.Write(message, output: true);
        // Who asked for an answer and got an empty one sees an empty message, not nothing.
        if (content.Count == 0 && items.Count == 0 && !message.HasToolCalls && status == "completed")
        {
            content.Add(ItemContent.Text("", output: true));
        }

        if (content.Count > 0)
        {
            items.Add(Message(ItemIds.Message(messageId), status, "assistant", content));
        }

        if (message.HasToolCalls)
        {
            using var calls = JsonDocument.Parse(message.ToolCalls, ItemJson.Document);
            var index = 0;
            foreach (var call in calls.RootElement.EnumerateArray())
            {
                var function = call.ValueKind == JsonValueKind.Object && call.TryGetProperty("function", out var member) ? member : default;
                items.Add(FunctionCall(
                    ItemIds.FunctionCall(messageId, index++), status, ItemJson.String(call, "id"), ItemJson.String(function, "name"), ItemJson.String(function, "arguments") ?? ""));
            }
        }

        return items;
    }

    private static JsonObject FunctionCallOutput(string id, string status, string callId, JsonNode output) =>
        new() { ["id"] = id, ["type"] = "function_call_output", ["status"] = status, ["call_id"] = callId, ["output"] = output };
}
