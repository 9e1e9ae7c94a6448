using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ChatHistory.VllmSimulator;

/// <summary>How JSON is read and written here, the same for every slice's context.</summary>
internal static class Json
{
    // Far above the default 64: a deep field that nobody reads must not be refused by us. vLLM takes it too.
    private const int MaxDepth = 512;

    public static JsonSerializerOptions NewOptions() => new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,

        // vLLM's JSON carries UTF-8 as it is. (Values go through the converter; this is for property names.)
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,

        // pydantic reads "5" as 5.
        NumberHandling = JsonNumberHandling.AllowReadingFromString,
        MaxDepth = MaxDepth,
        RespectNullableAnnotations = true,
        Converters = { new VerbatimStringConverter() },
    };
}
