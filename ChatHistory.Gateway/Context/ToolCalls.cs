using System.Buffers;
using System.Text;
using System.Text.Json;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Context;

/// <summary>One call of an assistant message.</summary>
/// <param name="StoredId">The id that results name; empty when it has none.</param>
/// <param name="Id">The id that it is sent with, unlike that of any other call of the message.</param>
internal sealed record ToolCall(string StoredId, string Id)
{
    public bool IsAnswered { get; set; }
}

/// <summary>
/// Reads the tool calls of a stored message, and writes those anew that a model server would refuse.
/// <code>[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}}]</code>
/// </summary>
internal static class ToolCalls
{
    // The name of the one member that stands around arguments that are no JSON object: {"unreadable":"{\"city\":\"Os"}.
    private const string UnreadableMember = "unreadable";

    /// <returns>The message itself when nothing is wrong with its calls, else a copy; and its calls.</returns>
    public static (MessageContent Message, IReadOnlyList<ToolCall> Calls) Read(MessageContent message, List<ReplayFix> fixes)
    {
        using var document = Parse(message.ToolCalls);
        if (document?.RootElement.ValueKind != JsonValueKind.Array)
        {
            fixes.Add(new ReplayFix(ReplayFixKind.UnreadableCall, null));
            return (WithCalls(message, null), []);
        }

        var before = fixes.Count;
        var calls = new List<(ToolCall Call, JsonElement Json)>();
        foreach (var json in document.RootElement.EnumerateArray())
        {
            if (IsCall(json))
            {
                var stored = Text(json, "id");
                calls.Add((new ToolCall(stored, NewId(stored, calls.ConvertAll(other => other.Call), fixes)), json));
            }
            else
            {
                fixes.Add(new ReplayFix(ReplayFixKind.UnreadableCall, json.ValueKind == JsonValueKind.Object && Text(json, "id") is { Length: > 0 } id ? id : null));
            }
        }

        foreach (var (call, json) in calls)
        {
            Check(call, json, fixes);
        }

        var read = calls.ConvertAll(call => call.Call);
        return fixes.Count == before ? (message, read) : (WithCalls(message, calls), read);
    }

    /// <summary>The ids of a message's calls; none when they cannot be read.</summary>
    public static IEnumerable<string> Ids(MessageContent message) =>
        message is { Role: "assistant", HasToolCalls: true } ? Read(message, []).Calls.Select(call => call.StoredId) : [];

    // A custom tool's call has another member than "function"; which models understand it is not ours to judge.
    private static bool IsCall(JsonElement json) =>
        json.ValueKind == JsonValueKind.Object
        && (Text(json, "type") is not ("" or "function")
            || (json.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object && Text(function, "name").Length > 0));

    private static string NewId(string stored, List<ToolCall> others, List<ReplayFix> fixes)
    {
        if (stored.Length > 0 && others.TrueForAll(other => other.Id != stored))
        {
            return stored;
        }

        // By its place in the message, so that it is the same with every turn, and the model server's cache of the prompt holds.
        var id = $"{(stored.Length > 0 ? stored : "call")}_{others.Count + 1}";
        while (others.Exists(other => other.Id == id))
        {
            id += "_";
        }

        fixes.Add(new ReplayFix(ReplayFixKind.IncompleteCall, id));
        return id;
    }

    private static void Check(ToolCall call, JsonElement json, List<ReplayFix> fixes)
    {
        if (Text(json, "type").Length == 0)
        {
            fixes.Add(new ReplayFix(ReplayFixKind.IncompleteCall, call.Id));
        }

        if (Arguments(json) is { } arguments && !IsReadable(arguments))
        {
            fixes.Add(new ReplayFix(ReplayFixKind.UnreadableArguments, call.Id));
        }
    }

    // vLLM and most templates read the arguments of every call in the history: {} for none, else they must be an object
    // (vllm/entrypoints/chat_utils.py, _postprocess_messages). A model that stopped in the middle of them leaves half a JSON text.
    private static bool IsReadable(JsonElement arguments)
    {
        if (arguments.ValueKind is JsonValueKind.Null or JsonValueKind.Object)
        {
            return true;
        }

        if (arguments.ValueKind != JsonValueKind.String)
        {
            return false;
        }

        var text = arguments.GetString()!;
        using var document = Parse(text);
        return text.Length == 0 || (document?.RootElement.ValueKind == JsonValueKind.Object && !JsonBody.HasHalfACharacter(Encoding.UTF8.GetBytes(text)));
    }

    private static JsonElement? Arguments(JsonElement call) =>
        call.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object && function.TryGetProperty("arguments", out var arguments)
            ? arguments
            : null;

    private static MessageContent WithCalls(MessageContent message, List<(ToolCall Call, JsonElement Json)>? calls)
    {
        var repaired = message.Clone();
        repaired.ClearToolCalls();
        if (calls is { Count: > 0 })
        {
            var buffer = new ArrayBufferWriter<byte>();
            using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
            {
                writer.WriteStartArray();
                calls.ForEach(call => Write(writer, call.Call, call.Json));
                writer.WriteEndArray();
            }

            repaired.ToolCalls = Encoding.UTF8.GetString(buffer.WrittenSpan);
        }

        return repaired;
    }

    private static void Write(Utf8JsonWriter writer, ToolCall call, JsonElement json)
    {
        writer.WriteStartObject();
        writer.WriteString("id", call.Id);
        writer.WriteString("type", Text(json, "type") is { Length: > 0 } type ? type : "function");
        foreach (var member in json.EnumerateObject())
        {
            if (member.Name is "id" or "type")
            {
                continue;
            }

            if (member.Name == "function" && Arguments(json) is { } arguments && !IsReadable(arguments))
            {
                WriteFunction(writer, member.Value, arguments);
            }
            else
            {
                member.WriteTo(writer);
            }
        }

        writer.WriteEndObject();
    }

    private static void WriteFunction(Utf8JsonWriter writer, JsonElement function, JsonElement arguments)
    {
        writer.WriteStartObject("function");
        foreach (var member in function.EnumerateObject().Where(member => member.Name != "arguments"))
        {
            member.WriteTo(writer);
        }

        // The model sees what it wrote; that is how it can do better.
        var text = arguments.ValueKind == JsonValueKind.String ? arguments.GetString()! : arguments.GetRawText();
        var wrapped = new ArrayBufferWriter<byte>();
        using (var inner = new Utf8JsonWriter(wrapped, WireJson.Writer))
        {
            inner.WriteStartObject();
            inner.WriteString(UnreadableMember, text);
            inner.WriteEndObject();
        }

        writer.WriteString("arguments", wrapped.WrittenSpan);
        writer.WriteEndObject();
    }

    // Rows may have been written by other programs, so nothing is taken for granted of what is stored.
    private static JsonDocument? Parse(string json)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Text(JsonElement holder, string name) =>
        holder.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
