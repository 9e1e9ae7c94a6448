using System.Security.Cryptography;
using System.Text;
using ChatHistory.Storage.V1;
using Google.Protobuf;

namespace ChatHistory.Tests.StorageService;

/// <summary>What a gateway sends.</summary>
internal static class Wire
{
    public static Scope Everyone => new() { Everyone = true };

    public static Scope Owner(string userId) => new() { Owner = userId };

    public static string NewId() => Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString();

    public static MessageContent Says(string role, string content) =>
        new() { Role = role, Content = content, Digest = ByteString.CopyFrom(SHA256.HashData(Encoding.UTF8.GetBytes($"{role}\n{content}"))) };

    public static WriteCommand In(this BeginTurn turn, Scope? scope = null) => new() { Scope = scope ?? Everyone, BeginTurn = turn };

    public static WriteCommand In(this Checkpoint checkpoint, Scope? scope = null) => new() { Scope = scope ?? Everyone, Checkpoint = checkpoint };

    public static WriteCommand In(this CompleteTurn end, Scope? scope = null) => new() { Scope = scope ?? Everyone, CompleteTurn = end };

    public static WriteCommand In(this AppendMessage append, Scope? scope = null) => new() { Scope = scope ?? Everyone, AppendMessage = append };

    /// <summary>A turn in an existing session.</summary>
    public static BeginTurn Ask(string sessionId, params MessageContent[] input) => new()
    {
        SessionId = sessionId,
        AnswerMessageId = NewId(),
        RequestId = NewId(),
        Model = "test-model",
        Input = { input.Select(content => new NewMessage { MessageId = NewId(), Content = content }) },
    };

    /// <summary>A turn that creates its session.</summary>
    public static BeginTurn AskNew(string sessionId, string userId, params MessageContent[] input)
    {
        var turn = Ask(sessionId, input);
        turn.NewSession = new NewSession { UserId = userId };
        return turn;
    }

    public static CompleteTurn Answered(this BeginTurn turn, string content, TurnStatus status = TurnStatus.Completed) => new()
    {
        SessionId = turn.SessionId,
        AnswerMessageId = turn.AnswerMessageId,
        Status = status,
        Answer = new Answer { Content = Says("assistant", content), FinishReason = "stop", Tokens = 3 },
        PromptTokens = 7,
    };

    public static Checkpoint SoFar(this BeginTurn turn, string content) =>
        new() { SessionId = turn.SessionId, AnswerMessageId = turn.AnswerMessageId, Answer = Says("assistant", content) };

    public static AppendMessage Append(string sessionId, MessageContent content) =>
        new() { SessionId = sessionId, Message = new NewMessage { MessageId = NewId(), Content = content } };
}
