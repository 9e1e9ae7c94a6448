using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>
/// What the gateway reads of the completion that a model is asked for. Everything else in the body is none of its business and reaches the model
/// untouched (<see cref="Turns.UpstreamBody"/>).
/// </summary>
internal sealed class ChatCompletionRequest : IDisposable
{
    private const int MaxChoices = 128;

    private readonly JsonBody _body;

    private ChatCompletionRequest(JsonBody body, bool mayBeEmpty)
    {
        _body = body;
        Model = body.OptionalString("model");
        Stream = body.OptionalBool("stream") ?? false;
        Choices = ReadChoices(body.Root);
        UsageAsked = ReadUsageAsked(body.Root);
        // A request that names the message to answer brings nothing new (a regeneration).
        Messages = ReadMessages(body.Root, mayBeEmpty || body.OptionalString("parent_message_id") is not null);
    }

    public JsonElement Root => _body.Root;

    public ReadOnlyMemory<byte> Bytes => _body.Bytes;

    public string? Model { get; }

    public bool Stream { get; }

    /// <summary>How many choices a complete answer has (<c>n</c>).</summary>
    public int Choices { get; }

    /// <summary>True when the client asked for the usage chunk of a stream itself.</summary>
    public bool UsageAsked { get; }

    public IReadOnlyList<MessageContent> Messages { get; }

    /// <summary>The members that say something to the gateway and not to the model.</summary>
    public JsonBody Body => _body;

    /// <summary>Takes the body over, also when it fails.</summary>
    /// <exception cref="OpenAIErrorException">The request cannot be carried out as it stands.</exception>
    /// <param name="body">The request's body.</param>
    /// <param name="mayBeEmpty">True: messages may be absent.</param>
    public static ChatCompletionRequest From(JsonBody body, bool mayBeEmpty = false)
    {
        try
        {
            return new ChatCompletionRequest(body, mayBeEmpty);
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    public void Dispose() => _body.Dispose();

    private static int ReadChoices(JsonElement root) =>
        !root.TryGetProperty("n", out var n) || n.ValueKind == JsonValueKind.Null ? 1
        : n.ValueKind == JsonValueKind.Number && n.TryGetInt32(out var count) && count is >= 1 and <= MaxChoices ? count
        : throw Invalid($"n must be a whole number from 1 to {MaxChoices}.", "n");

    private static bool ReadUsageAsked(JsonElement root) =>
        root.TryGetProperty("stream_options", out var options)
        && options.ValueKind == JsonValueKind.Object
        && options.TryGetProperty("include_usage", out var asked)
        && asked.ValueKind == JsonValueKind.True;

    private static MessageContent[] ReadMessages(JsonElement root, bool mayBeEmpty)
    {
        if (mayBeEmpty && (!root.TryGetProperty("messages", out var none) || (none.ValueKind == JsonValueKind.Array && none.GetArrayLength() == 0)))
        {
            return [];
        }

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
