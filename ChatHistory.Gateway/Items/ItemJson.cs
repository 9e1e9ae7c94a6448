using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ChatHistory.Gateway.Items;

/// <summary>The little JSON that items need. Depth as for request bodies, text as for everything that clients read.</summary>
internal static class ItemJson
{
    public static JsonDocumentOptions Document => new() { MaxDepth = 128 };

    /// <summary>A member that is a string; null for everything else, an element that is no object included.</summary>
    public static string? String(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String ? member.GetString() : null;

    /// <summary>A copy that outlives the document.</summary>
    public static JsonNode? Copy(JsonElement value) => JsonNode.Parse(value.GetRawText(), documentOptions: Document);

    public static string Text(JsonNode node)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            node.WriteTo(writer);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
