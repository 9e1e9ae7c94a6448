using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ChatHistory.VllmSimulator.Errors;

namespace ChatHistory.VllmSimulator;

/// <summary>From a body's bytes to a request, or to the refusal that vLLM would send.</summary>
internal static class RequestBody
{
    public static T? Parse<T>(ReadOnlyMemory<byte> body, JsonTypeInfo<T> type, out VllmError? error)
        where T : class
    {
        error = null;
        try
        {
            var request = JsonSerializer.Deserialize(body.Span, type);
            if (request is null)
            {
                error = VllmError.Invalid("missing", "body", "Field required");
            }

            return request;
        }
        catch (JsonException exception)
        {
            error = VllmError.From(exception);
            return null;
        }
    }
}
