using System.Security.Cryptography;
using System.Text;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.StoredCompletions;
using ChatHistory.Gateway.Telemetry;
using ChatHistory.Gateway.Turns;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>Reads a chat completion request as a turn: our own members of the body, and the headers.</summary>
internal static class ChatTurn
{
    private const string SessionHeader = "X-Session-Id";

    /// <exception cref="OpenAIErrorException">The request cannot be carried out as it stands.</exception>
    public static async Task<TurnRequest> ReadAsync(HttpContext context, Caller caller, MediaPolicy media, CancellationToken cancellationToken)
    {
        var body = await JsonBody.ReadAsync(context.Request, cancellationToken);
        var completion = ChatCompletionRequest.From(body);
        try
        {
            media.Check(completion.Root);
            return Read(completion, context, caller);
        }
        catch
        {
            completion.Dispose();
            throw;
        }
    }

    private static TurnRequest Read(ChatCompletionRequest completion, HttpContext context, Caller caller)
    {
        var (body, headers) = (completion.Body, context.Request.Headers);
        var ui = UiHeaders.From(context.Request, caller);
        var store = body.OptionalBool("store");
        // What a UI asks for itself belongs to no conversation, although it names one.
        var isTask = ui.IsTask || (caller.IsTrustedProxy && store is null && UiTaskPrompts.IsTask(body.Root));
        var parent = body.OptionalString("parent_message_id");
        var named = ReadSessionId(body, headers);
        var isUiChat = ui.SessionId is not null && named is null && parent is null && !isTask;
        var sessionId = isUiChat ? ui.SessionId : named;
        var retry = SdkRetry.From(headers);
        var key = ReadIdempotencyKey(headers);
        return new TurnRequest
        {
            Completion = completion,
            RequestId = RequestIds.Of(context),
            UserNamed = body.OptionalString("user_id") ?? body.OptionalString("user"),
            Store = !isTask && (store ?? true),
            SessionId = sessionId,
            IsTranscriptOfSession = isUiChat,
            SessionMetadata = ui.Metadata,
            ParentMessageId = parent,
            Metadata = MetadataRule.Read(body.Root),
            Parameters = store == true ? EchoedRequest.Of(body.Root) : null,
            IdempotencyKey = key,
            Hash = key is not null || retry.IsSdk ? HashOf(sessionId, body.Bytes.Span) : null,
            IsRepeated = retry.Count > 0,
            IsFirst = retry.Count == 0,
            Multitask = ReadMultitask(body),
            ContinueWithoutClient = ReadDisconnectPolicy(body),
            DisconnectGrace = retry.Grace,
        };
    }

    private static string? ReadSessionId(JsonBody body, IHeaderDictionary headers)
    {
        var inBody = body.OptionalString("session_id");
        var inHeader = headers[SessionHeader].ToString() is { Length: > 0 } header ? header : null;
        return inBody is null || inHeader is null || inBody == inHeader
            ? inBody ?? inHeader
            : throw Invalid($"session_id is '{inBody}' in the body but '{inHeader}' in the header {SessionHeader}. Send one of them.", "session_id");
    }

    public static string? ReadIdempotencyKey(IHeaderDictionary headers) => headers["Idempotency-Key"].ToString() switch
    {
        "" => null,
        { Length: <= 255 } key => key,
        var key => throw Invalid($"The header Idempotency-Key has {key.Length} characters; at most 255 are taken. A UUID does.", "Idempotency-Key"),
    };

    private static bool ReadDisconnectPolicy(JsonBody body) => body.OptionalString("on_disconnect") switch
    {
        null or "cancel" => false,
        "continue" => true,
        var other => throw Invalid($"on_disconnect is '{other}'; it must be cancel or continue.", "on_disconnect"),
    };

    private static MultitaskRule ReadMultitask(JsonBody body) => body.OptionalString("multitask") switch
    {
        null or "enqueue" => MultitaskRule.Enqueue,
        "reject" => MultitaskRule.Reject,
        "branch" => MultitaskRule.Branch,
        "interrupt" => MultitaskRule.Interrupt,
        var other => throw Invalid($"multitask is '{other}'; it must be enqueue, reject, branch or interrupt.", "multitask"),
    };

    public static byte[] HashOf(string? sessionId, ReadOnlySpan<byte> body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(sessionId ?? ""));
        hash.AppendData([0]);
        hash.AppendData(body);
        return hash.GetHashAndReset();
    }

    private static OpenAIErrorException Invalid(string message, string param) => new(OpenAIError.InvalidRequest(message, param));
}
