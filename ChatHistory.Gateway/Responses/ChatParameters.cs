using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;

namespace ChatHistory.Gateway.Responses;

/// <summary>
/// The parameters of a response as those of a chat completion, which is what the model server is asked for:
/// <code>
/// max_output_tokens                                      max_completion_tokens
/// reasoning: {effort}                                    reasoning_effort
/// text: {format: {type: json_schema, name, schema}}      response_format: {type: json_schema, json_schema: {name, schema}}
/// text: {verbosity}                                      verbosity
/// tools: [{type: function, name, parameters}]            tools: [{type: function, function: {name, parameters}}]
/// tool_choice: {type: function, name}                    tool_choice: {type: function, function: {name}}
/// tool_choice: {type: allowed_tools, mode, tools}        tool_choice: mode, with only these tools
/// top_logprobs, include: [message.output_text.logprobs]  logprobs, top_logprobs
/// </code>
/// What is not known here reaches the model server untouched, so that its own parameters (<c>top_k</c>, <c>chat_template_kwargs</c>, ...) can be used.
/// </summary>
internal static class ChatParameters
{
    // Read elsewhere, or without meaning for a model server that is asked through chat completions.
    private static readonly string[] s_notPassedOn =
    [
        "background", "context_management", "conversation", "include", "input", "instructions", "max_tool_calls", "messages", "metadata", "model", "moderation",
        "previous_response_id", "prompt", "prompt_cache_options", "prompt_cache_retention", "service_tier", "store", "stream", "stream_options", "truncation",
        "session_id", "user_id", "on_disconnect",
    ];

    private static readonly string[] s_functionMembers = ["name", "description", "parameters", "strict"];
    private static readonly string[] s_schemaMembers = ["name", "description", "schema", "strict"];

    /// <exception cref="OpenAIErrorException">A parameter asks for what no model server can do through chat completions.</exception>
    public static JsonObject Of(JsonElement root)
    {
        var chat = new JsonObject();
        foreach (var member in root.EnumerateObject().Where(member => member.Value.ValueKind != JsonValueKind.Null && !s_notPassedOn.Contains(member.Name)))
        {
            switch (member.Name)
            {
                case "max_output_tokens":
                    chat["max_completion_tokens"] = member.Value.ValueKind == JsonValueKind.Number && member.Value.TryGetInt64(out var tokens) && tokens > 0
                        ? tokens
                        : throw Invalid("max_output_tokens must be a whole number from 1.", "max_output_tokens");
                    break;
                case "reasoning":
                    AddReasoning(chat, member.Value);
                    break;
                case "text":
                    AddText(chat, member.Value);
                    break;
                case "tools":
                    chat["tools"] = Tools(member.Value);
                    break;
                case "tool_choice":
                    break;
                case "top_logprobs":
                    chat["logprobs"] = true;
                    chat["top_logprobs"] = ItemJson.Copy(member.Value);
                    break;
                default:
                    chat[member.Name] = ItemJson.Copy(member.Value);
                    break;
            }
        }

        if (root.TryGetProperty("include", out var include) && include.ValueKind == JsonValueKind.Array
            && include.EnumerateArray().Any(name => name.ValueKind == JsonValueKind.String && name.ValueEquals("message.output_text.logprobs"u8)))
        {
            chat["logprobs"] = true;
        }

        if (root.TryGetProperty("tool_choice", out var choice))
        {
            AddToolChoice(chat, choice);
        }

        // An empty list is no tools; vLLM refuses it.
        if (chat["tools"] is JsonArray { Count: 0 })
        {
            chat.Remove("tools");
            chat.Remove("tool_choice");
        }

        return chat;
    }

    private static void AddReasoning(JsonObject chat, JsonElement reasoning)
    {
        if (reasoning.ValueKind != JsonValueKind.Object)
        {
            throw Invalid("reasoning must be an object, e.g. {\"effort\":\"low\"}.", "reasoning");
        }

        if (ItemJson.String(reasoning, "effort") is { } effort)
        {
            chat["reasoning_effort"] = effort;
        }
    }

    private static void AddText(JsonObject chat, JsonElement text)
    {
        if (text.ValueKind != JsonValueKind.Object)
        {
            throw Invalid("text must be an object, e.g. {\"format\":{\"type\":\"text\"}}.", "text");
        }

        if (ItemJson.String(text, "verbosity") is { } verbosity)
        {
            chat["verbosity"] = verbosity;
        }

        if (!text.TryGetProperty("format", out var format) || format.ValueKind == JsonValueKind.Null)
        {
            return;
        }

        switch (ItemJson.String(format, "type"))
        {
            case "text":
                break;
            case "json_object":
                chat["response_format"] = new JsonObject { ["type"] = "json_object" };
                break;
            case "json_schema":
                if (!format.TryGetProperty("schema", out var schema) || schema.ValueKind != JsonValueKind.Object)
                {
                    throw Invalid("text.format.schema must be a JSON schema.", "text.format.schema");
                }

                var named = Pick(format, s_schemaMembers);
                named.TryAdd("name", "response");
                chat["response_format"] = new JsonObject { ["type"] = "json_schema", ["json_schema"] = named };
                break;
            case var type:
                throw Invalid($"text.format.type is {Named(type)}; it must be text, json_schema or json_object.", "text.format.type");
        }
    }

    private static JsonArray Tools(JsonElement tools)
    {
        if (tools.ValueKind != JsonValueKind.Array)
        {
            throw Invalid("tools must be an array.", "tools");
        }

        var functions = new JsonArray();
        var index = 0;
        foreach (var tool in tools.EnumerateArray())
        {
            var place = $"tools[{index++}]";
            var type = ItemJson.String(tool, "type");
            if (type != "function")
            {
                throw new OpenAIErrorException(OpenAIError.InvalidRequest(
                    $"{place}.type is {Named(type)}; only function tools can be offered to the model. Tools that OpenAI runs itself do not exist here.", $"{place}.type", "unsupported_tool"));
            }

            if (ItemJson.String(tool, "name") is not { Length: > 0 })
            {
                throw Invalid($"{place}.name must be the function's name. A tool of a response has it beside its type, not inside 'function'.", $"{place}.name");
            }

            functions.Add(new JsonObject { ["type"] = "function", ["function"] = Pick(tool, s_functionMembers) });
        }

        return functions;
    }

    private static void AddToolChoice(JsonObject chat, JsonElement choice)
    {
        if (choice.ValueKind is JsonValueKind.String or JsonValueKind.Null)
        {
            if (choice.ValueKind == JsonValueKind.String)
            {
                chat["tool_choice"] = choice.GetString();
            }

            return;
        }

        switch (ItemJson.String(choice, "type"))
        {
            case "function":
                chat["tool_choice"] = NamedFunction(choice, "tool_choice.name");
                break;
            case "allowed_tools" when choice.TryGetProperty("tools", out var allowed) && allowed.ValueKind == JsonValueKind.Array:
                var names = allowed.EnumerateArray().Select(tool => ItemJson.String(tool, "name")).ToHashSet();
                chat["tools"] = new JsonArray([.. (chat["tools"] as JsonArray ?? []).Where(tool => names.Contains((string?)tool!["function"]!["name"])).Select(tool => tool!.DeepClone())]);
                chat["tool_choice"] = ItemJson.String(choice, "mode") ?? "auto";
                break;
            case var type:
                throw Invalid($"tool_choice.type is {Named(type)}; it must be function or allowed_tools, or tool_choice none, auto or required.", "tool_choice.type");
        }
    }

    private static JsonObject NamedFunction(JsonElement choice, string place) =>
        new() { ["type"] = "function", ["function"] = new JsonObject { ["name"] = ItemJson.String(choice, "name") ?? throw Invalid($"{place} must be a function's name.", place) } };

    private static JsonObject Pick(JsonElement from, string[] names)
    {
        var picked = new JsonObject();
        foreach (var name in names)
        {
            if (from.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null)
            {
                picked[name] = ItemJson.Copy(value);
            }
        }

        return picked;
    }

    private static string Named(string? type) => type is null ? "missing" : $"'{type}'";

    private static OpenAIErrorException Invalid(string message, string param) => new(OpenAIError.InvalidRequest(message, param));
}
