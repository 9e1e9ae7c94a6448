using System.Text.Encodings.Web;
using System.Text.Json;

namespace ChatHistory.Gateway;

/// <summary>
/// How JSON is written for clients: text stays readable. The default encoder would turn every character beyond ASCII, and every quote in an
/// error message, into <c>\uXXXX</c>; that protects JSON inside HTML, which this is never.
/// </summary>
internal static class WireJson
{
    public static JsonSerializerOptions Options => new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static JsonWriterOptions Writer => new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
