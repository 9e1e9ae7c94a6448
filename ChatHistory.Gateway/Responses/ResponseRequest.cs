using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Responses;

/// <summary>The body of POST /v1/responses, checked as a whole before anything is stored or asked of the model.</summary>
internal sealed class ResponseRequest : IDisposable
{
    private readonly JsonBody _body;

    private ResponseRequest(JsonBody body)
    {
        _body = body;
        Model = body.OptionalString("model");
        Stream = body.OptionalBool("stream") ?? false;
        Store = body.OptionalBool("store") ?? true;
        Background = body.OptionalBool("background") ?? false;
        UserNamed = body.OptionalString("user_id") ?? body.OptionalString("user");
        Instructions = body.OptionalString("instructions");
        PreviousResponseId = body.OptionalString("previous_response_id");
        ConversationId = ReadConversation(body.Root);
        Metadata = MetadataRule.Read(body.Root);
        Refuse(body);

        Chat = ChatParameters.Of(body.Root);
        Echo = RequestEcho.Of(body.Root, ConversationId);
    }

    public string? Model { get; }

    public bool Stream { get; }

    /// <summary>False asks for no history: nothing of this turn is written, and its id leads nowhere.</summary>
    public bool Store { get; }

    /// <summary>True: the answer is made without anybody waiting for it.</summary>
    public bool Background { get; }

    /// <summary>The user whom the body names: our <c>user_id</c>, else OpenAI's <c>user</c>.</summary>
    public string? UserNamed { get; }

    /// <summary>Stand before the whole prompt of this one turn; they are no message and do not carry over.</summary>
    public string? Instructions { get; }

    /// <summary>The answer that this turn continues; excludes <see cref="ConversationId"/>.</summary>
    public string? PreviousResponseId { get; }

    public string? ConversationId { get; }

    /// <summary>JSON object of strings; null for none.</summary>
    public string? Metadata { get; }

    /// <summary>The members of the chat completion that is asked of the model, all but the model, the messages and the streaming.</summary>
    public JsonObject Chat { get; }

    /// <summary>What the response object repeats of the request; stored with the answer.</summary>
    public JsonObject Echo { get; }

    public JsonElement Root => _body.Root;

    /// <summary>The body as it came.</summary>
    public ReadOnlyMemory<byte> Bytes => _body.Bytes;

    /// <summary>Items that the input names by id only.</summary>
    public IReadOnlyList<string> References => _body.Root.TryGetProperty("input", out var input) ? InputItems.References(input) : [];

    /// <exception cref="OpenAIErrorException">The request cannot be carried out as it stands.</exception>
    public static async Task<ResponseRequest> ReadAsync(HttpRequest request, CancellationToken cancellationToken) => Of(await JsonBody.ReadAsync(request, cancellationToken));

    /// <exception cref="OpenAIErrorException">The request cannot be carried out as it stands.</exception>
    public static ResponseRequest Of(JsonBody body)
    {
        try
        {
            return new ResponseRequest(body);
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    /// <summary>The new messages.</summary>
    /// <param name="known">The items behind <see cref="References"/>, as far as they were found.</param>
    public IReadOnlyList<MessageContent> ReadInput(IReadOnlyDictionary<string, JsonObject>? known = null)
    {
        if (!_body.Root.TryGetProperty("input", out var input) || input.ValueKind == JsonValueKind.Null)
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("Missing required parameter: 'input'.", "input", "missing_required_parameter"));
        }

        var messages = InputItems.Parse(input, "input", known);
        return messages.Count > 0 ? messages : throw Invalid("input has nothing that could be sent to the model; it must be a text or at least one item.", "input");
    }

    public void Dispose() => _body.Dispose();

    private static string? ReadConversation(JsonElement root)
    {
        if (!root.TryGetProperty("conversation", out var conversation) || conversation.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        var id = conversation.ValueKind == JsonValueKind.String ? conversation.GetString() : ItemJson.String(conversation, "id");
        return string.IsNullOrEmpty(id) ? throw Invalid("conversation must be a conversation's id, or an object with it as 'id'.", "conversation") : id;
    }

    private void Refuse(JsonBody body)
    {
        if (PreviousResponseId is not null && ConversationId is not null)
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest(
                "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Send only one of them.", "previous_response_id", "mutually_exclusive_parameters"));
        }

        if (Background && !Store)
        {
            throw Invalid("A background response is fetched later, so it must be stored: leave out store, or background.", "background");
        }

        if (body.OptionalString("truncation") is { } truncation and not ("auto" or "disabled"))
        {
            throw Invalid($"truncation is '{truncation}'; it must be auto or disabled.", "truncation");
        }

        if (body.Root.TryGetProperty("include", out var include) && include.ValueKind is not (JsonValueKind.Array or JsonValueKind.Null))
        {
            throw Invalid("include must be an array of strings.", "include");
        }

        if (body.Root.TryGetProperty("prompt", out var prompt) && prompt.ValueKind != JsonValueKind.Null)
        {
            throw Invalid("prompt names a template that OpenAI keeps; none are kept here. Send its text as instructions or input.", "prompt");
        }
    }

    private static OpenAIErrorException Invalid(string message, string param) => new(OpenAIError.InvalidRequest(message, param));
}
