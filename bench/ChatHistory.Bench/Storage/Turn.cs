using ChatHistory.Storage.V1;
using Google.Protobuf;

namespace ChatHistory.Bench.Storage;

/// <summary>The commands of a turn, with the fields that the gateway sets for an answer that is not streamed.</summary>
internal static class Turn
{
    // A trace that is sampled, as the gateway's are.
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string Traceparent = $"00-{TraceId}-b7ad6b7169203331-01";

    public static WriteCommand Begin(string userId, string? sessionId, long number) => new()
    {
        Traceparent = Traceparent,
        Scope = new Scope { Owner = userId },
        BeginTurn = new BeginTurn
        {
            SessionId = sessionId ?? Texts.NewId(),
            NewSession = sessionId is null ? new NewSession { UserId = userId } : null,
            Placement = sessionId is null ? Placement.TranscriptOfAnySession : Placement.AfterHead,
            AnswerMessageId = Texts.NewId(),
            Model = Texts.Model,
            RequestId = Texts.NewId(),
            TraceId = TraceId,
            Input = { new NewMessage { MessageId = Texts.NewId(), Content = Content("user", Texts.Question(number)) } },
        },
    };

    public static WriteCommand Complete(string userId, TurnBegun begun, long number) => new()
    {
        Traceparent = Traceparent,
        Scope = new Scope { Owner = userId },
        CompleteTurn = new CompleteTurn
        {
            SessionId = begun.SessionId,
            AnswerMessageId = begun.AnswerMessageId,
            Status = TurnStatus.Completed,
            Answer = new Answer { Content = Content("assistant", Texts.Answer(number)), FinishReason = "stop", Tokens = 200 },
            PromptTokens = 40,
            TtftMs = 1.5,
            DurationMs = 2.5,
            CompletionId = "chatcmpl-" + begun.AnswerMessageId,
            Model = Texts.Model,
        },
    };

    public static MessageContent Content(string role, string content) => new()
    {
        Role = role,
        Content = content,
        Digest = ByteString.CopyFrom(Texts.Digest(role, content)),
    };
}
