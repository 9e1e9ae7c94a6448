using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Errors;
using Microsoft.Extensions.Primitives;

namespace ChatHistory.Gateway.Identity;

/// <summary>What a UI in front of the gateway says about one request: which of its users, which of its chats, and whether it is a call of the UI's own.</summary>
/// <remarks>
/// <code>
/// Open WebUI   X-OpenWebUI-User-Id, X-OpenWebUI-Chat-Id      ENABLE_FORWARD_USER_INFO_HEADERS=true  (backend/open_webui/routers/openai.py)
///              X-OpenWebUI-Message-Id: {{MESSAGE_ID}}         custom headers of the connection       (backend/open_webui/utils/headers.py)
///              X-OpenWebUI-Task: {{TASK}}                     empty unless it writes a title, tags, follow-ups, ...
/// LibreChat    X-User-Id: {{LIBRECHAT_USER_ID}}               headers of a custom endpoint           (packages/api/src/utils/env.ts)
///              X-Conversation-Id: {{LIBRECHAT_BODY_CONVERSATIONID}}
/// </code>
/// A placeholder that the UI did not fill in counts as absent. Only trusted callers' headers are read (<see cref="Caller.IsTrustedProxy"/>).
/// Both UIs send the whole transcript each time; neither forwards headers that its own clients send.
/// </remarks>
internal sealed record UiHeaders
{
    public const string OpenWebUI = "open-webui";
    public const string LibreChat = "librechat";

    private const string OpenWebUIUser = "X-OpenWebUI-User-Id";
    private const string OpenWebUIChat = "X-OpenWebUI-Chat-Id";
    private const string OpenWebUIMessage = "X-OpenWebUI-Message-Id";
    private const string OpenWebUITask = "X-OpenWebUI-Task";
    private const string LibreChatUser = "X-User-Id";
    private const string LibreChatChat = "X-Conversation-Id";
    private const int MaxLength = 256;

    /// <summary>The request of a client that is no UI, or one whose word is not taken.</summary>
    public static UiHeaders None { get; } = new();

    /// <summary><see cref="OpenWebUI"/> or <see cref="LibreChat"/>; null for neither.</summary>
    public string? Client { get; private init; }

    /// <summary>The UI's own id of the chat; null where it has none that lasts.</summary>
    public string? ChatId { get; private init; }

    /// <summary>The UI's own id of the answer that it asks for.</summary>
    public string? MessageId { get; private init; }

    /// <summary>
    /// The session of this chat, the same for every request of it: a UUID (version 8) made of owner, UI and chat id, so that nothing has to be
    /// looked up and no two owners' chats can meet. Null without a chat id.
    /// </summary>
    public string? SessionId { get; private init; }

    /// <summary>True when the UI says that it asks for itself (a title, tags, follow-ups): to be answered, never stored. See also <see cref="UiTaskPrompts"/>.</summary>
    public bool IsTask { get; private init; }

    /// <summary>What the session's metadata says of its origin, e.g. <c>{"client":"open-webui","chat_id":"…"}</c>; null without a chat id.</summary>
    public string? Metadata => ChatId is null ? null : JsonSerializer.Serialize(new UiOrigin(Client!, ChatId), UiJsonContext.Wire.UiOrigin);

    /// <exception cref="OpenAIErrorException">A header cannot be meant: it is too long, or there are two of it.</exception>
    public static UiHeaders From(HttpRequest request, Caller caller)
    {
        if (!caller.IsTrustedProxy)
        {
            return None;
        }

        var headers = request.Headers;
        var task = Read(headers, OpenWebUITask);
        if (Read(headers, OpenWebUIChat) is { } chat)
        {
            return new UiHeaders
            {
                Client = OpenWebUI,
                MessageId = Read(headers, OpenWebUIMessage),
                IsTask = task is not null,
            }.WithChat(Lasting(chat), caller);
        }

        if (Read(headers, LibreChatChat) is { } conversation)
        {
            return new UiHeaders { Client = LibreChat }.WithChat(Begun(conversation), caller);
        }

        return task is not null || Read(headers, OpenWebUIUser) is not null ? new UiHeaders { Client = OpenWebUI, IsTask = task is not null }
            : Read(headers, LibreChatUser) is not null ? new UiHeaders { Client = LibreChat }
            : None;
    }

    /// <summary>The end user whom a trusted caller's headers name; null when they name none.</summary>
    public static string? UserOf(HttpRequest request) => Read(request.Headers, OpenWebUIUser) ?? Read(request.Headers, LibreChatUser);

    // Open WebUI names a temporary chat after the browser's connection ("local:" and its socket): many chats have that id, and none for long.
    private static string? Lasting(string chat) => chat.StartsWith("local:", StringComparison.Ordinal) ? null : chat;

    // LibreChat's id before there is one (Constants.NEW_CONVO, PENDING_CONVO).
    private static string? Begun(string conversation) =>
        conversation.Equals("new", StringComparison.OrdinalIgnoreCase) || conversation.Equals("pending", StringComparison.OrdinalIgnoreCase) ? null : conversation;

    private UiHeaders WithChat(string? chatId, Caller caller) =>
        chatId is null ? this : this with { ChatId = chatId, SessionId = SessionOf(caller.UserNamed(null), Client!, chatId) };

    private static string SessionOf(string owner, string client, string chatId)
    {
        // The length keeps apart what ends in one field from what begins the next.
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes($"{owner.Length}:{owner}{client}:{chatId}"), hash);
        // RFC 9562: version 8 is for ids made by a rule of one's own.
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true).ToString();
    }

    private static string? Read(IHeaderDictionary headers, string name)
    {
        if (!headers.TryGetValue(name, out var values))
        {
            return null;
        }

        var value = values is [var single] ? single?.Trim() : throw Ambiguous(name, values);
        return value switch
        {
            null or "" => null,
            _ when value.StartsWith("{{", StringComparison.Ordinal) => null,
            { Length: > MaxLength } => throw new OpenAIErrorException(OpenAIError.InvalidRequest(
                $"The header {name} has {value.Length} characters; at most {MaxLength} are taken. It should hold an id of the UI's.", name)),
            _ => value,
        };
    }

    private static OpenAIErrorException Ambiguous(string name, StringValues values) => new(OpenAIError.InvalidRequest(
        $"The header {name} was sent {values.Count} times. Send it once: it says for whom the request is.", name));
}

/// <summary>Where a session came from, in its metadata.</summary>
internal sealed record UiOrigin(
    [property: JsonPropertyName("client")] string Client,
    [property: JsonPropertyName("chat_id")] string ChatId);

[JsonSerializable(typeof(UiOrigin))]
internal sealed partial class UiJsonContext : JsonSerializerContext
{
    public static UiJsonContext Wire { get; } = new(WireJson.Options);
}
