using System.Text.Json.Nodes;
using ChatHistory.Gateway.Relay;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Telemetry;

/// <summary>
/// Messages in the form of the GenAI conventions, <c>[{"role","parts":[{"type":"text","content"}]}]</c>. Only for installations that switched
/// content in telemetry on.
/// </summary>
internal static class ContentCapture
{
    public static string Input(IEnumerable<MessageContent> history, IEnumerable<MessageContent> messages) =>
        new JsonArray([.. history.Concat(messages).Select(Message)]).ToJsonString();

    public static string Output(CompletionObserver observer) =>
        new JsonArray([.. observer.Choices.Select(choice =>
        {
            var message = Message(choice.ToMessage());
            message["finish_reason"] = choice.FinishReason;
            return message;
        })]).ToJsonString();

    private static JsonObject Message(MessageContent message)
    {
        var parts = new JsonArray();
        if (message.HasReasoning)
        {
            parts.Add(new JsonObject { ["type"] = "reasoning", ["content"] = message.Reasoning });
        }

        if (message.Content.Length > 0)
        {
            parts.Add(new JsonObject { ["type"] = "text", ["content"] = message.Content });
        }

        if (message.HasToolCalls)
        {
            foreach (var call in JsonNode.Parse(message.ToolCalls)!.AsArray())
            {
                parts.Add(new JsonObject
                {
                    ["type"] = "tool_call",
                    ["id"] = call?["id"]?.DeepClone(),
                    ["name"] = call?["function"]?["name"]?.DeepClone(),
                    ["arguments"] = call?["function"]?["arguments"]?.DeepClone(),
                });
            }
        }

        return new JsonObject { ["role"] = message.Role, ["parts"] = parts };
    }
}
