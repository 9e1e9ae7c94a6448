using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>One route of the gateway's own OpenAPI document. Tests that go through all of them cover routes that are added later.</summary>
internal sealed record OpenApiRoute(HttpMethod Method, string Template)
{
    public static async Task<OpenApiRoute[]> ReadAllAsync(HttpClient client) =>
    [
        .. (await client.GetJsonAsync("/openapi/v1.json")).Body.GetProperty("paths").EnumerateObject().SelectMany(
            path => path.Value.EnumerateObject().Select(operation => new OpenApiRoute(HttpMethod.Parse(operation.Name.ToUpperInvariant()), path.Name))),
    ];

    /// <summary>The path with its parameters filled in.</summary>
    public string With(string parameter, string value) => Template.Replace($"{{{parameter}}}", Uri.EscapeDataString(value), StringComparison.Ordinal);

    public override string ToString() => $"{Method} {Template}";
}
