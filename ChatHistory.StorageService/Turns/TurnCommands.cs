using System.Diagnostics.CodeAnalysis;
using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>From the contract's command to ours, or to the refusal of what the contract forbids.</summary>
internal static class TurnCommands
{
    public static bool TryParse(WriteCommand command, [NotNullWhen(true)] out TurnCommand? parsed, [NotNullWhen(false)] out WriteResult? refused)
    {
        parsed = null;
        var fault = UserScope.TryParse(command.Scope, out var scope) ? Fault(command, scope) : "scope must name an owner, or everyone";
        if (fault is not null)
        {
            refused = TurnCommand.Invalid(fault);
            return false;
        }

        refused = null;
        var size = command.CalculateSize();
        parsed = command.CommandCase switch
        {
            WriteCommand.CommandOneofCase.BeginTurn => new BeginTurnCommand(command.BeginTurn, scope, size),
            WriteCommand.CommandOneofCase.Checkpoint => new CheckpointCommand(command.Checkpoint, scope, size),
            WriteCommand.CommandOneofCase.CompleteTurn =>
                new CompleteTurnCommand(command.CompleteTurn, MessageStatus.TextOfEnd(command.CompleteTurn.Status)!, scope, size),
            _ => new AppendMessageCommand(command.AppendMessage, scope, size),
        };
        return true;
    }

    private static string? Fault(WriteCommand command, UserScope scope) => command.CommandCase switch
    {
        WriteCommand.CommandOneofCase.BeginTurn => Fault(command.BeginTurn, scope),
        WriteCommand.CommandOneofCase.Checkpoint => Fault(command.Checkpoint),
        WriteCommand.CommandOneofCase.CompleteTurn => Fault(command.CompleteTurn),
        WriteCommand.CommandOneofCase.AppendMessage => Fault(command.AppendMessage),
        _ => "command is missing",
    };

    private static string? Fault(BeginTurn turn, UserScope scope)
    {
        if (turn.SessionId is "" && turn.Placement != Placement.AfterParent)
        {
            return "session_id is empty";
        }

        if (turn.Placement == Placement.AfterParent && turn.ParentMessageId is "")
        {
            return "parent_message_id is empty";
        }

        if (turn.Placement == Placement.TranscriptOfAnySession && turn.NewSession is null)
        {
            return "new_session is missing";
        }

        if (turn.Idempotency is { } idempotency && (idempotency.Key is "" || idempotency.RequestHash.IsEmpty))
        {
            return "idempotency must have a key and a request_hash";
        }

        if (turn.AnswerMessageId is "")
        {
            return "answer_message_id is empty";
        }

        if (turn.NewSession is { } session && (session.UserId is "" || !scope.Allows(session.UserId)))
        {
            return "new_session.user_id must be a user in the scope";
        }

        return turn.Input.Count == 0 && turn.Placement != Placement.AfterParent
            ? "input is empty"
            : turn.Input.Select(message => Fault(message, "input")).FirstOrDefault(fault => fault is not null);
    }

    private static string? Fault(Checkpoint checkpoint)
    {
        if (checkpoint.SessionId is "")
        {
            return "session_id is empty";
        }

        return checkpoint.Answer is null ? null : checkpoint.Answer.Fault("answer");
    }

    private static string? Fault(CompleteTurn end)
    {
        if (end.SessionId is "")
        {
            return "session_id is empty";
        }

        if (MessageStatus.TextOfEnd(end.Status) is null)
        {
            return "status must be one that ends a turn";
        }

        if (end.Answer?.Content is { } content && content.Fault("answer.content") is { } fault)
        {
            return fault;
        }

        return end.Alternatives
            .Select(alternative => alternative.MessageId is "" ? "alternatives.message_id is empty" : alternative.Content.Fault("alternatives.content"))
            .FirstOrDefault(alternativeFault => alternativeFault is not null);
    }

    private static string? Fault(AppendMessage append) => append.SessionId is "" ? "session_id is empty" : Fault(append.Message, "message");

    private static string? Fault(NewMessage? message, string field) =>
        string.IsNullOrEmpty(message?.MessageId) ? $"{field}.message_id is empty" : message.Content.Fault($"{field}.content");
}
