using System.Text.Json.Nodes;
using ChatHistory.Gateway.Items;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Conversations;

/// <summary>Takes one item out of a message that has several: its reasoning, its text, or one of its calls. Pure.</summary>
/// <remarks>Calls are named by their place, so those behind a deleted one move up: read the items again before deleting the next.</remarks>
internal static class ItemRemoval
{
    public static MessageContent Without(Message message, JsonObject item)
    {
        var rest = message.Content.Clone();
        switch ((string?)item["type"])
        {
            case "reasoning":
                rest.ClearReasoning();
                break;
            case "function_call":
                RemoveCall(rest, message, (string)item["id"]!);
                break;
            default:
                rest.Content = "";
                rest.ClearContentParts();
                RemoveRefusal(rest);
                break;
        }

        return rest;
    }

    private static void RemoveCall(MessageContent rest, Message message, string itemId)
    {
        var calls = (JsonArray)JsonNode.Parse(rest.ToolCalls, documentOptions: ItemJson.Document)!;
        for (var i = 0; i < calls.Count; i++)
        {
            if (ItemIds.FunctionCall(message.MessageId, i) == itemId)
            {
                calls.RemoveAt(i);
                break;
            }
        }

        if (calls.Count > 0)
        {
            rest.ToolCalls = ItemJson.Text(calls);
        }
        else
        {
            rest.ClearToolCalls();
        }
    }

    private static void RemoveRefusal(MessageContent rest)
    {
        if (!rest.HasExtra)
        {
            return;
        }

        var extra = (JsonObject)JsonNode.Parse(rest.Extra, documentOptions: ItemJson.Document)!;
        extra.Remove("refusal");
        if (extra.Count > 0)
        {
            rest.Extra = ItemJson.Text(extra);
        }
        else
        {
            rest.ClearExtra();
        }
    }
}
