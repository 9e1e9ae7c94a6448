using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Runs;

/// <summary>A stored answer as the one chunk of a stream: for readers of a stream whose own frames are no longer kept, or never were.</summary>
internal static class ChatChunk
{
    private static readonly JsonSerializerOptions s_options = WireJson.Options;

    /// <returns>A frame: <c>data: {"id":…,"object":"chat.completion.chunk","choices":[{"index":0,"delta":{…},"finish_reason":…}]}\n\n</c></returns>
    public static byte[] Of(Message answer)
    {
        var delta = new JsonObject { ["role"] = answer.Content.Role, ["content"] = answer.Content.Content };
        if (answer.Content.HasReasoning)
        {
            delta["reasoning_content"] = answer.Content.Reasoning;
        }

        if (answer.Content.HasToolCalls)
        {
            var calls = JsonNode.Parse(answer.Content.ToolCalls)!.AsArray();
            for (var i = 0; i < calls.Count; i++)
            {
                (calls[i] as JsonObject)?["index"] = i;
            }

            delta["tool_calls"] = calls;
        }

        var chunk = new JsonObject
        {
            ["id"] = answer.HasCompletionId ? answer.CompletionId : answer.MessageId,
            ["object"] = "chat.completion.chunk",
            ["created"] = answer.CreatedAt.Seconds,
            ["model"] = answer.HasModel ? answer.Model : "",
            ["choices"] = new JsonArray(new JsonObject
            {
                ["index"] = 0,
                ["delta"] = delta,
                ["finish_reason"] = answer.HasFinishReason ? answer.FinishReason : null,
            }),
        };
        return Encoding.UTF8.GetBytes($"data: {chunk.ToJsonString(s_options)}\n\n");
    }
}
