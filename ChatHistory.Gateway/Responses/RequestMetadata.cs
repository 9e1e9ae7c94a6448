using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;

namespace ChatHistory.Gateway.Responses;

/// <summary>OpenAI's <c>metadata</c>: at most 16 pairs of strings, keys up to 64 characters, values up to 512.</summary>
internal static class RequestMetadata
{
    private const int MaxPairs = 16;
    private const int MaxKey = 64;
    private const int MaxValue = 512;

    /// <summary>The pairs as a JSON object; null when the request has none.</summary>
    public static string? Read(JsonElement root)
    {
        if (!root.TryGetProperty("metadata", out var metadata) || metadata.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        if (metadata.ValueKind != JsonValueKind.Object)
        {
            throw Invalid("metadata must be an object of strings.", "metadata");
        }

        var pairs = new JsonObject();
        foreach (var pair in metadata.EnumerateObject())
        {
            var param = $"metadata.{pair.Name}";
            if (pair.Name.Length > MaxKey)
            {
                throw Invalid($"The metadata key '{pair.Name[..MaxKey]}...' has {pair.Name.Length} characters; at most {MaxKey} are kept.", "metadata");
            }

            if (pair.Value.ValueKind != JsonValueKind.String)
            {
                throw Invalid($"{param} must be a string.", param);
            }

            var value = pair.Value.GetString()!;
            if (value.Length > MaxValue)
            {
                throw Invalid($"{param} has {value.Length} characters; at most {MaxValue} are kept.", param);
            }

            pairs[pair.Name] = value;
        }

        return pairs.Count <= MaxPairs ? ItemJson.Text(pairs) : throw Invalid($"metadata has {pairs.Count} pairs; at most {MaxPairs} are kept.", "metadata");
    }

    private static OpenAIErrorException Invalid(string message, string param) => new(OpenAIError.InvalidRequest(message, param));
}
