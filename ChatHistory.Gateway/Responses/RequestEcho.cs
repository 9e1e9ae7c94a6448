using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Items;

namespace ChatHistory.Gateway.Responses;

/// <summary>
/// What a response object repeats of its request, in OpenAI's form: <c>tools</c> with all their members, <c>text</c> with its format,
/// <c>reasoning</c> with effort and summary. Kept as JSON on the answer's row, so that the response can be read again.
/// </summary>
internal static class RequestEcho
{
    private static readonly string[] s_repeated =
    [
        "background", "instructions", "max_output_tokens", "max_tool_calls", "parallel_tool_calls", "previous_response_id", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "service_tier", "store", "temperature", "tool_choice", "top_logprobs", "top_p", "truncation", "user",
    ];

    public static JsonObject Of(JsonElement root, string? conversationId)
    {
        var echo = new JsonObject();
        foreach (var name in s_repeated)
        {
            if (root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null)
            {
                echo[name] = ItemJson.Copy(value);
            }
        }

        if (root.TryGetProperty("tools", out var tools) && tools.ValueKind == JsonValueKind.Array && tools.GetArrayLength() > 0)
        {
            echo["tools"] = new JsonArray([.. tools.EnumerateArray().Select(tool => With(tool, ("parameters", null), ("strict", null)))]);
        }

        if (root.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.Object)
        {
            echo["text"] = With(text, ("format", () => new JsonObject { ["type"] = "text" }));
        }

        if (root.TryGetProperty("reasoning", out var reasoning) && reasoning.ValueKind == JsonValueKind.Object)
        {
            echo["reasoning"] = With(reasoning, ("effort", null), ("summary", null));
        }

        if (conversationId is not null)
        {
            echo["conversation"] = new JsonObject { ["id"] = conversationId };
        }

        return echo;
    }

    /// <summary>
    /// What is stored of an answer's request. A turn that came as a chat completion has the parameters in that form:
    /// <c>tools: [{type, function: {...}}]</c>, <c>tool_choice: {type, function: {name}}</c>, <c>response_format</c>.
    /// </summary>
    public static JsonObject OfStored(string request)
    {
        using var stored = JsonDocument.Parse(request, ItemJson.Document);
        var echo = Of(stored.RootElement, conversationId: null);
        if (stored.RootElement.TryGetProperty("conversation", out var conversation))
        {
            echo["conversation"] = ItemJson.Copy(conversation);
        }

        if (echo["tools"] is JsonArray tools)
        {
            echo["tools"] = new JsonArray([.. tools.Select(Flattened)]);
        }

        if (echo["tool_choice"] is JsonObject choice)
        {
            echo["tool_choice"] = Flattened(choice);
        }

        if (stored.RootElement.TryGetProperty("response_format", out var format) && format.ValueKind == JsonValueKind.Object)
        {
            var flat = format.TryGetProperty("json_schema", out var schema) && schema.ValueKind == JsonValueKind.Object ? With(schema) : [];
            flat["type"] = ItemJson.String(format, "type");
            echo["text"] = new JsonObject { ["format"] = flat };
        }

        return echo;
    }

    private static JsonNode? Flattened(JsonNode? tool)
    {
        if (tool?["function"] is not JsonObject function)
        {
            return tool?.DeepClone();
        }

        var flat = (JsonObject)function.DeepClone();
        flat["type"] = "function";
        if (tool.AsObject().ContainsKey("parameters"))
        {
            flat.TryAdd("parameters", null);
            flat.TryAdd("strict", null);
        }

        return flat;
    }

    private static JsonObject With(JsonElement from, params ReadOnlySpan<(string Name, Func<JsonNode>? Default)> members)
    {
        var copy = new JsonObject();
        foreach (var member in from.EnumerateObject())
        {
            copy[member.Name] = ItemJson.Copy(member.Value);
        }

        foreach (var (name, value) in members)
        {
            if (copy[name] is null)
            {
                copy[name] = value?.Invoke();
            }
        }

        return copy;
    }
}
