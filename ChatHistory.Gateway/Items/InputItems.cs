using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Items;

/// <summary>
/// Items as clients send them, as the messages that are stored. What a model said in one step stands in several items there (reasoning, text,
/// function calls) and is one message here: chat completions want a tool's output right behind the message that called it.
/// </summary>
internal static class InputItems
{
    /// <summary>Reads <c>input</c> (a string or an array of items) or <c>items</c>.</summary>
    /// <param name="path">The member's name, for error texts.</param>
    /// <param name="known">The items behind the ids in <see cref="References"/>, as far as they were found.</param>
    /// <exception cref="OpenAIErrorException">An item has no form that a model could be sent.</exception>
    public static IReadOnlyList<MessageContent> Parse(JsonElement input, string path, IReadOnlyDictionary<string, JsonObject>? known = null)
    {
        var messages = new List<MessageContent>();
        switch (input.ValueKind)
        {
            case JsonValueKind.String:
                messages.Add(new MessageContent { Role = "user", Content = input.GetString()! });
                break;
            case JsonValueKind.Array:
                var step = new Step(messages);
                var index = 0;
                foreach (var item in input.EnumerateArray())
                {
                    Read(item, $"{path}[{index++}]", step, known);
                }

                step.End();
                break;
            default:
                throw Invalid(path, "must be a string or an array of items");
        }

        foreach (var message in messages)
        {
            message.Digest = MessageDigest.Of(message);
        }

        return messages;
    }

    /// <summary>The ids that items of type <c>item_reference</c> name: items that the client knows to be stored and does not send again.</summary>
    public static IReadOnlyList<string> References(JsonElement input) => input.ValueKind != JsonValueKind.Array ? [] :
        [.. input.EnumerateArray().Where(item => ItemJson.String(item, "type") == "item_reference").Select(item => ItemJson.String(item, "id")).OfType<string>()];

    private static void Read(JsonElement item, string path, Step step, IReadOnlyDictionary<string, JsonObject>? known)
    {
        if (item.ValueKind != JsonValueKind.Object)
        {
            throw Invalid(path, "must be an item, e.g. {\"role\":\"user\",\"content\":\"...\"}");
        }

        // A message may go without its type.
        var type = ItemJson.String(item, "type") ?? (item.TryGetProperty("role", out _) ? "message" : null);
        switch (type)
        {
            case "message":
                step.Add(ReadMessage(item, path));
                break;
            case "function_call":
                step.AddCall(new JsonObject
                {
                    ["id"] = Required(item, "call_id", path),
                    ["type"] = "function",
                    ["function"] = new JsonObject { ["name"] = Required(item, "name", path), ["arguments"] = Required(item, "arguments", path) },
                });
                break;
            case "function_call_output":
                step.Add(ReadOutput(item, path));
                break;
            case "reasoning":
                step.AddReasoning(TextOf(item, "content") ?? TextOf(item, "summary"));
                break;
            case "item_reference":
                var id = Required(item, "id", path);
                if (known is null || !known.TryGetValue(id, out var found))
                {
                    throw new OpenAIErrorException(OpenAIError.InvalidRequest(
                        $"Item with id '{id}' not found. {path} refers to an item that is not stored here; send the item itself.", path, "item_not_found") with { Status = StatusCodes.Status404NotFound });
                }

                using (var document = JsonDocument.Parse(ItemJson.Text(found), ItemJson.Document))
                {
                    Read(document.RootElement, path, step, known: null);
                }

                break;
            default:
                throw new OpenAIErrorException(OpenAIError.InvalidRequest(
                    $"{path}.type is {(type is null ? "missing" : $"'{type}'")}; items of these types can be sent to the model: message, function_call, function_call_output, reasoning, item_reference.",
                    $"{path}.type", "unsupported_item"));
        }
    }

    private static MessageContent ReadMessage(JsonElement item, string path)
    {
        var role = Required(item, "role", path);
        if (role is not ("user" or "assistant" or "system" or "developer"))
        {
            throw Invalid($"{path}.role", $"is '{role}'; it must be user, assistant, system or developer");
        }

        var message = new MessageContent { Role = role };
        ItemContent.Read(message, item.TryGetProperty("content", out var content) ? content : default, $"{path}.content");
        return message;
    }

    private static MessageContent ReadOutput(JsonElement item, string path)
    {
        var message = new MessageContent { Role = "tool", ToolCallId = Required(item, "call_id", path) };
        ItemContent.Read(message, item.TryGetProperty("output", out var output) ? output : default, $"{path}.output");
        return message;
    }

    // Reasoning that only its maker can read (encrypted_content) says nothing to another model.
    private static string? TextOf(JsonElement item, string name)
    {
        if (!item.TryGetProperty(name, out var parts) || parts.ValueKind != JsonValueKind.Array)
        {
            return null;
        }

        var text = string.Join('\n', parts.EnumerateArray().Select(part => ItemJson.String(part, "text")).OfType<string>());
        return text.Length > 0 ? text : null;
    }

    private static string Required(JsonElement item, string name, string path) =>
        ItemJson.String(item, name) ?? throw Invalid($"{path}.{name}", "must be a string");

    private static OpenAIErrorException Invalid(string path, string rule) => new(OpenAIError.InvalidRequest($"{path} {rule}.", path));

    /// <summary>
    /// Gathers one step of the model: at most one text and any number of calls, until somebody else speaks or a second text begins.
    /// </summary>
    private sealed class Step(List<MessageContent> messages)
    {
        private MessageContent? _open;
        private JsonArray? _calls;
        private string? _reasoning;

        public void Add(MessageContent message)
        {
            if (message.Role != "assistant")
            {
                End();
                messages.Add(message);
                return;
            }

            if (_open is { Content: "", HasContentParts: false, HasExtra: false } open && _calls is not null)
            {
                // The text of a step whose calls came first.
                open.Content = message.Content;
                if (message.HasContentParts)
                {
                    open.ContentParts = message.ContentParts;
                }

                if (message.HasExtra)
                {
                    open.Extra = message.Extra;
                }
            }
            else
            {
                var reasoning = _reasoning;
                End();
                _reasoning = reasoning;
                Open(message);
            }

            TakeReasoning();
        }

        public void AddCall(JsonObject call)
        {
            if (_open is null)
            {
                Open(new MessageContent { Role = "assistant" });
            }

            (_calls ??= []).Add(call);
            TakeReasoning();
        }

        public void AddReasoning(string? text)
        {
            if (text is not null)
            {
                _reasoning = _reasoning is null ? text : $"{_reasoning}\n{text}";
            }
        }

        // Reasoning that nothing follows has no message to belong to.
        public void End()
        {
            if (_open is not null && _calls is not null)
            {
                _open.ToolCalls = ItemJson.Text(_calls);
            }

            (_open, _calls, _reasoning) = (null, null, null);
        }

        private void Open(MessageContent message)
        {
            _open = message;
            messages.Add(message);
        }

        private void TakeReasoning()
        {
            if (_reasoning is not null)
            {
                _open!.Reasoning = _open.HasReasoning ? $"{_open.Reasoning}\n{_reasoning}" : _reasoning;
                _reasoning = null;
            }
        }
    }
}
