using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Messages;

/// <summary>
/// OpenAI's rule for <c>metadata</c>: <c>{"key":"value"}</c>, up to 16 pairs, keys of up to 64 characters, string values of up to 512
/// (openai-openapi, Metadata). For the routes that are OpenAI's; a session's own metadata may be any object.
/// </summary>
internal static class MetadataRule
{
    private const int MaxPairs = 16;
    private const int MaxKeyLength = 64;
    private const int MaxValueLength = 512;

    /// <summary>The member <c>metadata</c> of a body as JSON text; null when it is absent or null.</summary>
    /// <exception cref="OpenAIErrorException">It breaks the rule.</exception>
    public static string? Read(JsonElement body) => body.TryGetProperty("metadata", out var metadata) ? Check(metadata) : null;

    /// <summary>The member <c>metadata</c> of a body that is about nothing else; null there takes all pairs away.</summary>
    /// <exception cref="OpenAIErrorException">It is missing, or breaks the rule.</exception>
    public static string ReadRequired(JsonElement body) => body.TryGetProperty("metadata", out var metadata)
        ? Check(metadata) ?? "{}"
        : throw new OpenAIErrorException(OpenAIError.InvalidRequest("Missing required parameter: 'metadata'.", "metadata", "missing_required_parameter"));

    /// <summary>The object as JSON text; null for null.</summary>
    /// <exception cref="OpenAIErrorException">It breaks the rule.</exception>
    public static string? Check(JsonElement metadata)
    {
        if (metadata.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
        {
            return null;
        }

        if (metadata.ValueKind != JsonValueKind.Object)
        {
            throw Invalid("metadata must be an object of strings, such as {\"topic\":\"engines\"}.");
        }

        if (JsonBody.HasHalfACharacter(JsonMarshal.GetRawUtf8Value(metadata)))
        {
            throw Invalid("metadata has an escape that is half of a surrogate pair.");
        }

        // Of a key that stands there twice the last one counts, as everywhere in JSON's practice.
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var member in metadata.EnumerateObject())
        {
            if (member.Name.Length > MaxKeyLength)
            {
                throw Invalid($"metadata has a key of {Text(member.Name.Length)} characters; at most {MaxKeyLength} are allowed.");
            }

            if (member.Value.ValueKind != JsonValueKind.String)
            {
                throw Invalid($"metadata.{member.Name} must be a string.");
            }

            var value = member.Value.GetString()!;
            if (value.Length > MaxValueLength)
            {
                throw Invalid($"metadata.{member.Name} has {Text(value.Length)} characters; at most {MaxValueLength} are allowed.");
            }

            pairs[member.Name] = value;
        }

        return pairs.Count <= MaxPairs
            ? JsonSerializer.Serialize(pairs, MessagesJsonContext.Wire.DictionaryStringString)
            : throw Invalid($"metadata has {Text(pairs.Count)} pairs; at most {MaxPairs} are allowed.");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static OpenAIErrorException Invalid(string message) => new(OpenAIError.InvalidRequest(message, "metadata"));
}
