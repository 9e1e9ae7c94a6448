using System.Text.Encodings.Web;
using System.Text.Json;

namespace ChatHistory.VllmSimulator.Schemas;

/// <summary>
/// Makes a small JSON document that is valid against a JSON schema: the arguments of tool calls and the answers under
/// <c>response_format</c>. Deterministic.
/// </summary>
/// <remarks>
/// Taken in this order: <c>const</c>, the first of <c>enum</c>, <c>default</c>, the first of <c>examples</c>, <c>$ref</c> (local),
/// the first of <c>anyOf</c>/<c>oneOf</c>, <c>allOf</c> merged, then the <c>type</c> (the first one that is not null).
/// Objects get their required members, or all of them if none is named required. Lengths, bounds, <c>multipleOf</c> and the common
/// formats are met; <c>pattern</c>, <c>not</c>, <c>if</c> and <c>uniqueItems</c> are not looked at.
/// </remarks>
internal static class SchemaSampler
{
    // Where a schema refers to itself, optional members end here.
    private const int MaxDepth = 24;

    private const int OptionalDepth = 4;

    // Nobody waits for a longer list; "minItems" may say a billion.
    private const int MaxItems = 1000;

    private static readonly JsonElement s_anything = JsonElement.Parse("{}");

    public static byte[] Sample(JsonElement? schema)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            var root = schema ?? s_anything;
            Write(writer, root, root, 0);
        }

        return stream.ToArray();
    }

    private static void Write(Utf8JsonWriter writer, JsonElement schema, JsonElement root, int depth)
    {
        if (schema.ValueKind is not JsonValueKind.Object || depth > MaxDepth)
        {
            // "true" allows everything; nothing satisfies "false", and a schema this deep cannot be satisfied either.
            writer.WriteStartObject();
            writer.WriteEndObject();
            return;
        }

        if (Literal(schema) is { } literal)
        {
            literal.WriteTo(writer);
        }
        else if (schema.TryGetProperty("$ref", out var reference))
        {
            Write(writer, Resolve(reference, root), root, depth + 1);
        }
        else if (First(schema, "anyOf") is { } any)
        {
            Write(writer, any, root, depth + 1);
        }
        else if (First(schema, "oneOf") is { } one)
        {
            Write(writer, one, root, depth + 1);
        }
        else if (schema.TryGetProperty("allOf", out var all) && all.ValueKind is JsonValueKind.Array)
        {
            Write(writer, Merge(schema, all, root), root, depth + 1);
        }
        else
        {
            WriteType(writer, schema, root, depth);
        }
    }

    private static void WriteType(Utf8JsonWriter writer, JsonElement schema, JsonElement root, int depth)
    {
        switch (TypeOf(schema))
        {
            case "array":
                WriteArray(writer, schema, root, depth);
                break;
            case "string":
                writer.WriteStringValue(SchemaValues.Text(schema));
                break;
            case "integer":
                writer.WriteNumberValue(SchemaValues.Integer(schema));
                break;
            case "number":
                writer.WriteNumberValue(SchemaValues.Number(schema));
                break;
            case "boolean":
                writer.WriteBooleanValue(true);
                break;
            case "null":
                writer.WriteNullValue();
                break;
            default:
                WriteObject(writer, schema, root, depth);
                break;
        }
    }

    private static void WriteObject(Utf8JsonWriter writer, JsonElement schema, JsonElement root, int depth)
    {
        var required = Required(schema);
        writer.WriteStartObject();
        if (schema.TryGetProperty("properties", out var properties) && properties.ValueKind is JsonValueKind.Object)
        {
            foreach (var property in properties.EnumerateObject())
            {
                if (required is null ? depth < OptionalDepth : required.Remove(property.Name))
                {
                    writer.WritePropertyName(property.Name);
                    Write(writer, property.Value, root, depth + 1);
                }
            }
        }

        // Required, and not described.
        foreach (var name in required ?? [])
        {
            writer.WriteString(name, SchemaValues.Word);
        }

        writer.WriteEndObject();
    }

    private static void WriteArray(Utf8JsonWriter writer, JsonElement schema, JsonElement root, int depth)
    {
        writer.WriteStartArray();
        var prefix = schema.TryGetProperty("prefixItems", out var items) && items.ValueKind is JsonValueKind.Array ? items.EnumerateArray().ToArray() : [];
        var item = schema.TryGetProperty("items", out var each) ? each : s_anything;
        var least = Math.Max(prefix.Length, (int)SchemaValues.Bound(schema, "minItems", 0));

        // One item shows more than none, where nothing forbids it.
        var most = (int)Math.Min(SchemaValues.Bound(schema, "maxItems", MaxItems), MaxItems);
        var count = Math.Min(Math.Max(least, depth < OptionalDepth && item.ValueKind is JsonValueKind.Object ? 1 : 0), most);
        for (var i = 0; i < count; i++)
        {
            Write(writer, i < prefix.Length ? prefix[i] : item, root, depth + 1);
        }

        writer.WriteEndArray();
    }

    private static JsonElement? Literal(JsonElement schema) =>
        schema.TryGetProperty("const", out var constant) ? constant
        : First(schema, "enum") is { } member ? member
        : schema.TryGetProperty("default", out var standard) && standard.ValueKind is not JsonValueKind.Null ? standard
        : First(schema, "examples");

    private static JsonElement? First(JsonElement schema, string name) =>
        schema.TryGetProperty(name, out var list) && list.ValueKind is JsonValueKind.Array && list.GetArrayLength() > 0 ? list[0] : null;

    private static string? TypeOf(JsonElement schema)
    {
        if (!schema.TryGetProperty("type", out var type))
        {
            return schema.TryGetProperty("items", out _) ? "array" : null;
        }

        return type.ValueKind is JsonValueKind.Array
            ? type.EnumerateArray().Select(NameOf).OrderBy(name => name == "null").FirstOrDefault()
            : NameOf(type);

        static string? NameOf(JsonElement name) => name.ValueKind is JsonValueKind.String ? name.GetString() : null;
    }

    /// <summary>The required names in order, or null when the schema names none.</summary>
    private static List<string>? Required(JsonElement schema) =>
        schema.TryGetProperty("required", out var required) && required.ValueKind is JsonValueKind.Array && required.GetArrayLength() > 0
            ? [.. required.EnumerateArray().Where(name => name.ValueKind is JsonValueKind.String).Select(name => name.GetString()!)]
            : null;

    /// <summary>Follows <c>#</c> and <c>#/$defs/Name</c>; what is not found allows everything.</summary>
    private static JsonElement Resolve(JsonElement reference, JsonElement root)
    {
        var target = root;
        var path = reference.ValueKind is JsonValueKind.String ? reference.GetString()!.TrimStart('#') : "";
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var name = part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (target.ValueKind is not JsonValueKind.Object || !target.TryGetProperty(name, out target))
            {
                return s_anything;
            }
        }

        return target;
    }

    private static JsonElement Merge(JsonElement schema, JsonElement all, JsonElement root)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            SchemaMerge.Write(writer, [schema, .. all.EnumerateArray().Select(part => part.ValueKind is JsonValueKind.Object && part.TryGetProperty("$ref", out var reference) ? Resolve(reference, root) : part)]);
        }

        return JsonElement.Parse(stream.ToArray());
    }
}
