using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Items;

/// <summary>
/// The content of items, and the same as chat completions have it (which is what is stored, and what the model is sent):
/// <code>
/// {"type":"input_text","text":"..."}                                {"type":"text","text":"..."}
/// {"type":"output_text","text":"...","annotations":[]}              {"type":"text","text":"..."}
/// {"type":"input_image","image_url":"data:...","detail":"low"}      {"type":"image_url","image_url":{"url":"data:...","detail":"low"}}
/// {"type":"input_file","filename":"a.pdf","file_data":"..."}        {"type":"file","file":{"filename":"a.pdf","file_data":"..."}}
/// {"type":"refusal","refusal":"..."}                                the message's member "refusal"
/// </code>
/// Parts that chat completions and vLLM know (<c>text</c>, <c>image_url</c>, <c>video_url</c>, ...) pass as they are, in both directions.
/// </summary>
internal static class ItemContent
{
    private static readonly string[] s_chatParts = ["image_url", "input_audio", "audio_url", "video_url", "file"];
    private static readonly string[] s_fileMembers = ["filename", "file_data", "file_id", "file_url"];

    /// <summary>Reads an item's content, a string or an array of parts, into a message.</summary>
    /// <param name="path">Where it stands in the request, for error texts, e.g. <c>input[2].content</c>.</param>
    public static void Read(MessageContent message, JsonElement content, string path)
    {
        switch (content.ValueKind)
        {
            case JsonValueKind.String:
                message.Content = content.GetString()!;
                break;
            case JsonValueKind.Array:
                ReadParts(message, content, path);
                break;
            default:
                throw Invalid(path, "must be a string or an array of parts, e.g. [{\"type\":\"input_text\",\"text\":\"...\"}]");
        }
    }

    /// <summary>A stored message's content as the parts of an item.</summary>
    /// <param name="output">True for what a model said: <c>output_text</c> instead of <c>input_text</c>.</param>
    public static JsonArray Write(MessageContent message, bool output)
    {
        var parts = new JsonArray();
        if (message.HasContentParts)
        {
            using var stored = JsonDocument.Parse(message.ContentParts, ItemJson.Document);
            foreach (var part in stored.RootElement.EnumerateArray())
            {
                parts.Add(ToItem(part, output));
            }
        }
        else if (message.Content.Length > 0 || !output)
        {
            parts.Add(Text(message.Content, output));
        }

        if (RefusalOf(message) is { } refusal)
        {
            parts.Add(Refusal(refusal));
        }

        return parts;
    }

    public static JsonObject Text(string text, bool output) => output
        ? new JsonObject { ["type"] = "output_text", ["annotations"] = new JsonArray(), ["logprobs"] = new JsonArray(), ["text"] = text }
        : new JsonObject { ["type"] = "input_text", ["text"] = text };

    public static JsonObject Refusal(string refusal) => new() { ["type"] = "refusal", ["refusal"] = refusal };

    public static string? RefusalOf(MessageContent message)
    {
        if (!message.HasExtra)
        {
            return null;
        }

        using var extra = JsonDocument.Parse(message.Extra, ItemJson.Document);
        return ItemJson.String(extra.RootElement, "refusal");
    }

    private static void ReadParts(MessageContent message, JsonElement content, string path)
    {
        var parts = new JsonArray();
        var texts = new List<string>();
        var refusals = new List<string>();
        var index = 0;
        foreach (var part in content.EnumerateArray())
        {
            var place = $"{path}[{index++}]";
            switch (ItemJson.String(part, "type"))
            {
                case "input_text" or "output_text" or "text" or "summary_text" or "reasoning_text":
                    var text = Required(part, "text", place);
                    texts.Add(text);
                    parts.Add(new JsonObject { ["type"] = "text", ["text"] = text });
                    break;
                case "refusal":
                    refusals.Add(Required(part, "refusal", place));
                    break;
                case "input_image":
                    parts.Add(Image(part, place));
                    break;
                case "input_file":
                    parts.Add(File(part, place));
                    break;
                case { } type when s_chatParts.Contains(type):
                    parts.Add(ItemJson.Copy(part));
                    break;
                case var type:
                    throw Invalid($"{place}.type", $"is {(type is null ? "missing" : $"'{type}'")}; it must be input_text, input_image, input_file, input_audio, output_text or refusal");
            }
        }

        message.Content = string.Join('\n', texts);
        // One text is kept as a string: that is what a model answers, and what the most chat templates expect.
        if (parts.Count > 1 || texts.Count < parts.Count)
        {
            message.ContentParts = ItemJson.Text(parts);
        }

        if (refusals.Count > 0)
        {
            message.Extra = ItemJson.Text(new JsonObject { ["refusal"] = string.Join('\n', refusals) });
        }
    }

    private static JsonObject Image(JsonElement part, string place)
    {
        // Some clients nest it as in chat completions.
        var url = ItemJson.String(part, "image_url")
            ?? (part.TryGetProperty("image_url", out var nested) && nested.ValueKind == JsonValueKind.Object ? ItemJson.String(nested, "url") : null)
            ?? throw Invalid($"{place}.image_url", "is missing; send the image as a data: or https: address (files by file_id are not kept here)");
        var image = new JsonObject { ["url"] = url };
        // "auto" is the default; left out, the same image is the same message for chat completions.
        if (ItemJson.String(part, "detail") is { } detail and not "auto")
        {
            image["detail"] = detail;
        }

        return new JsonObject { ["type"] = "image_url", ["image_url"] = image };
    }

    private static JsonObject File(JsonElement part, string place)
    {
        var file = new JsonObject();
        foreach (var name in s_fileMembers)
        {
            if (ItemJson.String(part, name) is { } value)
            {
                file[name] = value;
            }
        }

        return file.Count > 0 ? new JsonObject { ["type"] = "file", ["file"] = file } : throw Invalid(place, "must have file_data, file_url or file_id");
    }

    private static JsonNode ToItem(JsonElement part, bool output)
    {
        if (part.ValueKind == JsonValueKind.String)
        {
            return Text(part.GetString()!, output);
        }

        switch (ItemJson.String(part, "type"))
        {
            case "text" when ItemJson.String(part, "text") is { } text:
                return Text(text, output);
            case "refusal" when ItemJson.String(part, "refusal") is { } refusal:
                return Refusal(refusal);
            case "image_url" when part.TryGetProperty("image_url", out var image):
                var url = image.ValueKind == JsonValueKind.String ? image.GetString() : ItemJson.String(image, "url");
                return new JsonObject { ["type"] = "input_image", ["detail"] = ItemJson.String(image, "detail") ?? "auto", ["file_id"] = null, ["image_url"] = url };
            case "file" when part.TryGetProperty("file", out var file) && file.ValueKind == JsonValueKind.Object:
                var item = new JsonObject { ["type"] = "input_file" };
                foreach (var name in s_fileMembers.Where(name => ItemJson.String(file, name) is not null))
                {
                    item[name] = ItemJson.String(file, name);
                }

                return item;
            default:
                return ItemJson.Copy(part)!;
        }
    }

    private static string Required(JsonElement part, string name, string place) =>
        ItemJson.String(part, name) ?? throw Invalid($"{place}.{name}", "must be a string");

    private static OpenAIErrorException Invalid(string path, string rule) => new(OpenAIError.InvalidRequest($"{path} {rule}.", path));
}
