using System.Text.Json;
using System.Text.Unicode;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Messages;

/// <summary>A request's body, read once: the bytes as they came, and the JSON object in them.</summary>
internal sealed class JsonBody : IDisposable
{
    // Deep enough for any tool schema in use, far from what could exhaust the stack.
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = 128 };

    private readonly JsonDocument _document;

    private JsonBody(ReadOnlyMemory<byte> bytes, JsonDocument document)
    {
        Bytes = bytes;
        _document = document;
    }

    public ReadOnlyMemory<byte> Bytes { get; }

    public JsonElement Root => _document.RootElement;

    /// <exception cref="OpenAIErrorException">The body is not a JSON object in UTF-8.</exception>
    public static async Task<JsonBody> ReadAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        using var buffer = new MemoryStream((int)Math.Clamp(request.ContentLength ?? 0, 0, 1024 * 1024));
        await request.Body.CopyToAsync(buffer, cancellationToken);
        var bytes = new ReadOnlyMemory<byte>(buffer.GetBuffer(), 0, (int)buffer.Length);

        if (!Utf8.IsValid(bytes.Span))
        {
            throw Malformed("it is not valid UTF-8");
        }

        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(bytes, s_options);
        }
        catch (JsonException exception)
        {
            throw Malformed(bytes.Length == 0 ? "it is empty" : exception.Message);
        }

        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            document.Dispose();
            throw Malformed("it must be an object");
        }

        return new JsonBody(bytes, document);
    }

    /// <summary>A member that may be absent, null or empty, and otherwise must be a string.</summary>
    public string? OptionalString(string name)
    {
        if (!Root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.String
            ? value.GetString() is { Length: > 0 } text ? text : null
            : throw new OpenAIErrorException(OpenAIError.InvalidRequest($"{name} must be a string.", name));
    }

    /// <summary>A member that may be absent or null, and otherwise must be true or false.</summary>
    public bool? OptionalBool(string name)
    {
        if (!Root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        return value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw new OpenAIErrorException(OpenAIError.InvalidRequest($"{name} must be true or false.", name)),
        };
    }

    public void Dispose() => _document.Dispose();

    private static OpenAIErrorException Malformed(string why) =>
        new(OpenAIError.InvalidRequest($"The body could not be read as JSON: {why}", code: "invalid_json"));
}
