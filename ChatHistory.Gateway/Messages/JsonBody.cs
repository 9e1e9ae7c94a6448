using System.Text.Json;
using System.Text.Unicode;
using ChatHistory.Gateway.Errors;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Messages;

/// <summary>A request's body, read once: the bytes as they came, and the JSON object in them.</summary>
internal sealed class JsonBody : IDisposable
{
    // Deep enough for any tool schema in use, far from what could exhaust the stack.
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = 128 };

    private readonly JsonDocument _document;

    /// <summary>A body that this gateway made itself.</summary>
    public static JsonBody Of(ReadOnlyMemory<byte> json) => new(json, JsonDocument.Parse(json, s_options));

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
        // Not only for order's sake: a page on the web may send any other type to a gateway on its visitor's machine without being asked.
        if (!request.HasJsonContentType())
        {
            throw new OpenAIErrorException(OpenAIError.UnsupportedMediaType());
        }

        if (request.Headers.ContentEncoding is { Count: > 0 } encoding && !encoding.ToString().Equals("identity", StringComparison.OrdinalIgnoreCase))
        {
            // Unpacking is how a few kilobytes become gigabytes.
            throw new OpenAIErrorException(OpenAIError.UnsupportedMediaType() with { Message = $"The body must not be packed; it has Content-Encoding: {encoding}." });
        }

        // As much as is promised, but not before it comes: a thousand connections may promise a megabyte each.
        using var buffer = new MemoryStream((int)Math.Clamp(request.ContentLength ?? 0, 0, 64 * 1024));
        try
        {
            await request.Body.CopyToAsync(buffer, cancellationToken);
        }
        catch (IOException exception) when (exception is not BadHttpRequestException)
        {
            // A chunk's length that overflows, for one: Kestrel has a status of its own for other faults only.
            throw Malformed("it did not arrive whole, or its chunks are not what they say");
        }

        var bytes = new ReadOnlyMemory<byte>(buffer.GetBuffer(), 0, (int)buffer.Length);

        if (!Utf8.IsValid(bytes.Span))
        {
            throw Malformed("it is not valid UTF-8");
        }

        if (HasHalfACharacter(bytes.Span))
        {
            throw Malformed("it has an escape that is half of a surrogate pair, such as \"\\ud800\" alone");
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

        try
        {
            BodyLimits.Check(document.RootElement, request.HttpContext.RequestServices.GetRequiredService<IOptions<LimitsOptions>>().Value);
        }
        catch
        {
            document.Dispose();
            throw;
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

    /// <summary>
    /// True when a string of the JSON ends or begins inside a character: <c>"\ud83d\ude00"</c> is one, <c>"\ud83d"</c> alone is none. It can be
    /// parsed, but has no value, and each place that reads or writes it would fail in its own way.
    /// </summary>
    public static bool HasHalfACharacter(ReadOnlySpan<byte> json)
    {
        // Only a text with an escaped surrogate is looked through.
        if (json.IndexOf("\\ud"u8) < 0 && json.IndexOf("\\uD"u8) < 0)
        {
            return false;
        }

        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = s_options.MaxDepth });
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
                {
                    _ = reader.GetString();
                }
            }

            return false;
        }
        catch (InvalidOperationException)
        {
            return true;
        }
        catch (JsonException)
        {
            // No JSON at all: that is said where it is parsed.
            return false;
        }
    }

    private static OpenAIErrorException Malformed(string why) =>
        new(OpenAIError.InvalidRequest($"The body could not be read as JSON: {why}", code: "invalid_json"));
}
