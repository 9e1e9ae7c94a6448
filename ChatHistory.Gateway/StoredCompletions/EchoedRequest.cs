using System.Buffers;
using System.Text;
using System.Text.Json;

namespace ChatHistory.Gateway.StoredCompletions;

/// <summary>
/// What a stored completion repeats of its request, kept as JSON on the answer's row (<c>BeginTurn.request</c>):
/// <c>{"temperature":0.7,"seed":42,"tools":[...],"user":"ada"}</c>, each member as it came.
/// </summary>
internal static class EchoedRequest
{
    private static readonly string[] s_members =
    [
        "tools", "tool_choice", "seed", "temperature", "top_p", "presence_penalty", "frequency_penalty", "response_format", "service_tier", "user",
    ];

    /// <summary>Of the body of a chat completion request; null when there is nothing to repeat.</summary>
    public static string? Of(JsonElement body)
    {
        var echoed = body.EnumerateObject().Where(member => s_members.Contains(member.Name) && member.Value.ValueKind != JsonValueKind.Null).ToList();
        if (echoed.Count == 0)
        {
            return null;
        }

        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            writer.WriteStartObject();
            foreach (var member in echoed)
            {
                member.WriteTo(writer);
            }

            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Writes the members into an open object; <c>user</c> is <c>input_user</c> there.</summary>
    public static void Write(Utf8JsonWriter writer, string request)
    {
        using var echoed = JsonDocument.Parse(request);
        // Other dialects keep their own members beside these.
        foreach (var member in echoed.RootElement.EnumerateObject().Where(member => s_members.Contains(member.Name)))
        {
            writer.WritePropertyName(member.Name == "user" ? "input_user" : member.Name);
            if (member.Name == "tools" && member.Value.ValueKind == JsonValueKind.Array)
            {
                WriteTools(writer, member.Value);
            }
            else
            {
                member.Value.WriteTo(writer);
            }
        }
    }

    // A response's tools are flat, {"type":"function","name":...}; a completion's have a level more, {"type":"function","function":{"name":...}}.
    private static void WriteTools(Utf8JsonWriter writer, JsonElement tools)
    {
        writer.WriteStartArray();
        foreach (var tool in tools.EnumerateArray())
        {
            if (tool.ValueKind != JsonValueKind.Object || tool.TryGetProperty("function", out _) || !tool.TryGetProperty("name", out _))
            {
                tool.WriteTo(writer);
                continue;
            }

            writer.WriteStartObject();
            writer.WriteString("type", "function");
            writer.WriteStartObject("function");
            foreach (var member in tool.EnumerateObject().Where(member => member.Name != "type"))
            {
                member.WriteTo(writer);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
