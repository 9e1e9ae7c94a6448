using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using ChatHistory.VllmSimulator.Streaming;
using Microsoft.AspNetCore.WebUtilities;

namespace ChatHistory.VllmSimulator.Errors;

/// <summary>
/// vLLM's error envelope; unlike OpenAI's, its <c>code</c> is the status as a number.
/// <code>{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}}</code>
/// The type is a class name where the engine refuses and the status' phrase where the HTTP layer does, as in vLLM's
/// <c>entrypoints/serve/exception_handling</c>.
/// </summary>
internal sealed record VllmError(int Status, string Message, string Type, string? Param = null)
{
    private static readonly byte[] s_unauthorized = "{\"error\":\"Unauthorized\"}"u8.ToArray();

    /// <summary>What vLLM's <c>--api-key</c> answers: an envelope of its own.</summary>
    public static VllmError Unauthorized { get; } = new(StatusCodes.Status401Unauthorized, "Unauthorized", "Unauthorized");

    public static VllmError Internal { get; } = new(StatusCodes.Status500InternalServerError, "Internal server error", "InternalServerError");

    /// <summary>A refusal by the engine or the serving layer.</summary>
    public static VllmError BadRequest(string message, string? param = null) =>
        new(StatusCodes.Status400BadRequest, message, "BadRequestError", param);

    /// <summary>A body that does not fit the request's type, in the words of vLLM's validation handler.</summary>
    public static VllmError Invalid(string kind, string location, string message) => new(
        StatusCodes.Status400BadRequest,
        $"1 validation error:\n  {{'type': '{kind}', 'loc': '{location}', 'msg': '{message}'}}",
        "Bad Request",
        location);

    /// <summary>A combination of fields that vLLM's request models refuse.</summary>
    public static VllmError Refused(string param, string message) => new(
        StatusCodes.Status400BadRequest,
        $"1 validation error:\n  {{'type': 'value_error', 'loc': 'body', 'msg': 'Value error, {message}'}}",
        "Bad Request",
        param);

    public static VllmError UnknownModel(string model) =>
        new(StatusCodes.Status404NotFound, $"The model `{model}` does not exist.", "NotFoundError", "model");

    public static VllmError PromptTooLong(int maxModelLen, int outputTokens, int promptTokens) => BadRequest(
        string.Create(
            CultureInfo.InvariantCulture,
            $"This model's maximum context length is {maxModelLen} tokens. However, you requested {outputTokens} output tokens and your prompt contains at least {promptTokens} input tokens, for a total of at least {outputTokens + (long)promptTokens} tokens. Please reduce the length of the input prompt or the number of requested output tokens."),
        "input_tokens");

    /// <summary>What the HTTP layer says by itself, e.g. of an unknown route.</summary>
    public static VllmError FromStatus(int status, string? message = null)
    {
        var phrase = ReasonPhrases.GetReasonPhrase(status);
        return new(status, message ?? phrase, phrase);
    }

    /// <summary>Maps an error of the JSON reader; its path <c>$.messages[0].role</c> becomes vLLM's <c>body.messages.0.role</c>.</summary>
    public static VllmError From(JsonException exception)
    {
        // The serializer wraps the reader's own exception when the text is no JSON at all.
        if (exception.InnerException is JsonException)
        {
            return Invalid("json_invalid", string.Create(CultureInfo.InvariantCulture, $"body.{exception.BytePositionInLine ?? 0}"), "JSON decode error");
        }

        var path = new StringBuilder("body").Append(exception.Path?.TrimStart('$')).Replace('[', '.').Replace("]", null).Replace("'", null).Replace("..", ".").ToString();

        // "… was missing required properties including: 'messages'." The name is nowhere else.
        return exception.Message.Contains("missing required", StringComparison.Ordinal)
            ? Invalid("missing", $"{path}.{exception.Message.Split('\'') switch { [.., var name, _] => name, _ => "" }}", "Field required")
            : Invalid("type_error", path, "Input has the wrong type");
    }

    public async Task WriteAsync(HttpContext context, int? status = null)
    {
        var body = ToBytes();
        context.Response.StatusCode = status ?? Status;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.BodyWriter.WriteAsync(body, context.RequestAborted);
    }

    /// <summary>The envelope's bytes.</summary>
    public ReadOnlyMemory<byte> ToBytes()
    {
        if (ReferenceEquals(this, Unauthorized))
        {
            return s_unauthorized;
        }

        var json = new ArrayBufferWriter<byte>();
        json.Write("{\"error\":{\"message\":"u8);
        json.WriteString(Message);
        json.Write(",\"type\":"u8);
        json.WriteString(Type);
        json.Write(",\"param\":"u8);
        json.WriteStringOrNull(Param);
        json.Write(",\"code\":"u8);
        json.WriteNumber(Status);
        json.Write("}}"u8);
        return json.WrittenMemory;
    }
}
