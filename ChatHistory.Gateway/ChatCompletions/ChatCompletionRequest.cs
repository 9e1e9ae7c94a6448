using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>
/// What the gateway reads of a chat completion request. Everything else in the body is none of its business and reaches the model untouched
/// (<see cref="UpstreamBody"/>).
/// </summary>
internal sealed class ChatCompletionRequest : IDisposable
{
    private const string SessionHeader = "X-Session-Id";
    private const int MaxChoices = 128;

    private readonly JsonBody _body;

    private ChatCompletionRequest(JsonBody body, HttpRequest request)
    {
        _body = body;
        Model = body.OptionalString("model");
        Stream = body.OptionalBool("stream") ?? false;
        Store = body.OptionalBool("store") ?? true;
        UserNamed = body.OptionalString("user_id") ?? body.OptionalString("user");
        SessionId = ReadSessionId(body, request);
        ContinueWithoutClient = ReadDisconnectPolicy(body);
        Choices = ReadChoices(body.Root);
        UsageAsked = ReadUsageAsked(body.Root);
        Messages = ReadMessages(body.Root);
    }

    public JsonElement Root => _body.Root;

    public ReadOnlyMemory<byte> Bytes => _body.Bytes;

    public string? Model { get; }

    public bool Stream { get; }

    /// <summary>False asks for no history: nothing of this turn is written.</summary>
    public bool Store { get; }

    /// <summary>The user whom the body names: our <c>user_id</c>, else OpenAI's <c>user</c>.</summary>
    public string? UserNamed { get; }

    /// <summary>The session to continue (body or header); null begins a new one.</summary>
    public string? SessionId { get; }

    /// <summary><c>on_disconnect</c>: false (cancel, the default) stops the model when the client leaves; true (continue) finishes and stores.</summary>
    public bool ContinueWithoutClient { get; }

    /// <summary>How many choices a complete answer has (<c>n</c>).</summary>
    public int Choices { get; }

    /// <summary>True when the client asked for the usage chunk of a stream itself.</summary>
    public bool UsageAsked { get; }

    public IReadOnlyList<MessageContent> Messages { get; }

    /// <exception cref="OpenAIErrorException">The request cannot be carried out as it stands.</exception>
    public static async Task<ChatCompletionRequest> ReadAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        var body = await JsonBody.ReadAsync(request, cancellationToken);
        try
        {
            return new ChatCompletionRequest(body, request);
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    public void Dispose() => _body.Dispose();

    private static string? ReadSessionId(JsonBody body, HttpRequest request)
    {
        var inBody = body.OptionalString("session_id");
        var inHeader = request.Headers[SessionHeader].ToString() is { Length: > 0 } header ? header : null;
        return inBody is null || inHeader is null || inBody == inHeader
            ? inBody ?? inHeader
            : throw Invalid($"session_id is '{inBody}' in the body but '{inHeader}' in the header {SessionHeader}. Send one of them.", "session_id");
    }

    private static bool ReadDisconnectPolicy(JsonBody body) => body.OptionalString("on_disconnect") switch
    {
        null or "cancel" => false,
        "continue" => true,
        var other => throw Invalid($"on_disconnect is '{other}'; it must be cancel or continue.", "on_disconnect"),
    };

    private static int ReadChoices(JsonElement root) =>
        !root.TryGetProperty("n", out var n) || n.ValueKind == JsonValueKind.Null ? 1
        : n.ValueKind == JsonValueKind.Number && n.TryGetInt32(out var count) && count is >= 1 and <= MaxChoices ? count
        : throw Invalid($"n must be a whole number from 1 to {MaxChoices}.", "n");

    private static bool ReadUsageAsked(JsonElement root) =>
        root.TryGetProperty("stream_options", out var options)
        && options.ValueKind == JsonValueKind.Object
        && options.TryGetProperty("include_usage", out var asked)
        && asked.ValueKind == JsonValueKind.True;

    private static MessageContent[] ReadMessages(JsonElement root)
    {
        if (!root.TryGetProperty("messages", out var messages) || messages.ValueKind == JsonValueKind.Null)
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("Missing required parameter: 'messages'.", "messages", "missing_required_parameter"));
        }

        if (messages.ValueKind != JsonValueKind.Array || messages.GetArrayLength() == 0)
        {
            throw Invalid("messages must be an array with at least one message.", "messages");
        }

        var parsed = new MessageContent[messages.GetArrayLength()];
        var index = 0;
        foreach (var message in messages.EnumerateArray())
        {
            parsed[index] = WireMessage.Parse(message, $"messages[{index}]");
            index++;
        }

        return parsed;
    }

    private static OpenAIErrorException Invalid(string message, string param) => new(OpenAIError.InvalidRequest(message, param));
}
