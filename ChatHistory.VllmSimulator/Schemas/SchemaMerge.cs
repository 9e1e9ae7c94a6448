using System.Text.Json;

namespace ChatHistory.VllmSimulator.Schemas;

/// <summary><c>allOf</c>: one schema out of several, with all their properties and all their required names.</summary>
internal static class SchemaMerge
{
    public static void Write(Utf8JsonWriter writer, IReadOnlyList<JsonElement> parts)
    {
        var schemas = parts.Where(part => part.ValueKind is JsonValueKind.Object).ToArray();
        writer.WriteStartObject();

        var keywords = schemas
            .SelectMany(schema => schema.EnumerateObject())
            .Where(keyword => keyword.Name is not ("allOf" or "properties" or "required"))
            .DistinctBy(keyword => keyword.Name);
        foreach (var keyword in keywords)
        {
            keyword.WriteTo(writer);
        }

        writer.WriteStartObject("properties");
        foreach (var property in Members("properties", JsonValueKind.Object).SelectMany(member => member.EnumerateObject()).DistinctBy(property => property.Name))
        {
            property.WriteTo(writer);
        }

        writer.WriteEndObject();

        writer.WriteStartArray("required");
        foreach (var name in Members("required", JsonValueKind.Array).SelectMany(member => member.EnumerateArray()).Where(name => name.ValueKind is JsonValueKind.String).Select(name => name.GetString()).Distinct())
        {
            writer.WriteStringValue(name);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();

        IEnumerable<JsonElement> Members(string name, JsonValueKind kind)
        {
            foreach (var schema in schemas)
            {
                if (schema.TryGetProperty(name, out var member) && member.ValueKind == kind)
                {
                    yield return member;
                }
            }
        }
    }
}
