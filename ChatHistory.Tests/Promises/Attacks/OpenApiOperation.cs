using System.Text.Json;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Promises.Attacks;

/// <summary>One operation of the gateway's own OpenAPI document, with everything in it that a caller can fill in.</summary>
/// <param name="Path">With its parameters: <c>/v1/sessions/{session_id}</c>.</param>
/// <param name="PathParameters">Their names.</param>
/// <param name="QueryParameters">Their names.</param>
/// <param name="Members">Of its JSON body; null when it takes none.</param>
internal sealed record OpenApiOperation(HttpMethod Method, string Path, string[] PathParameters, string[] QueryParameters, string[]? Members)
{
    public override string ToString() => $"{Method} {Path}";

    public static async Task<OpenApiOperation[]> ReadAllAsync(HttpClient client)
    {
        var document = (await client.GetJsonAsync("/openapi/v1.json")).Body;
        return
        [
            .. document.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject()
                .Where(operation => operation.Value.ValueKind == JsonValueKind.Object && operation.Value.TryGetProperty("responses", out _))
                .Select(operation => new OpenApiOperation(
                    HttpMethod.Parse(operation.Name.ToUpperInvariant()),
                    path.Name,
                    Parameters(document, operation.Value, "path"),
                    Parameters(document, operation.Value, "query"),
                    Body(document, operation.Value)))),
        ];
    }

    private static string[] Parameters(JsonElement document, JsonElement operation, string place) =>
        !operation.TryGetProperty("parameters", out var parameters) ? [] :
        [.. parameters.EnumerateArray().Select(parameter => Resolved(document, parameter)).Where(parameter => parameter.GetProperty("in").GetString() == place).Select(parameter => parameter.GetProperty("name").GetString()!)];

    private static string[]? Body(JsonElement document, JsonElement operation)
    {
        if (!operation.TryGetProperty("requestBody", out var body) || !body.GetProperty("content").TryGetProperty("application/json", out var json))
        {
            return null;
        }

        var schema = Resolved(document, json.GetProperty("schema"));
        if (schema.TryGetProperty("oneOf", out var either))
        {
            schema = either.EnumerateArray().Select(one => Resolved(document, one)).First(one => one.TryGetProperty("properties", out _));
        }

        return schema.TryGetProperty("properties", out var properties) ? [.. properties.EnumerateObject().Select(property => property.Name)] : [];
    }

    // {"$ref":"#/components/schemas/CreateSessionBody"}
    private static JsonElement Resolved(JsonElement document, JsonElement element) =>
        !element.TryGetProperty("$ref", out var reference) ? element
        : reference.GetString()!.Split('/').Skip(1).Aggregate(document, (node, name) => node.GetProperty(name));
}
