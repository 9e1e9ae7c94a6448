using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Sessions;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>
/// Starts a turn: finds or creates the session, stores the request's new messages and the answer's row with status in_progress.
/// </summary>
/// <remarks>
/// The session's head does not move yet. It moves when the turn ends with something to continue from, so that a question which no model
/// can answer does not come back in every later prompt.
/// </remarks>
internal sealed class BeginTurnCommand(BeginTurn turn, UserScope scope, int size) : TurnCommand(scope, size)
{
    private const string SelectParent = "SELECT session_id, parent_id FROM messages WHERE message_id = ?1";

    private const string SelectHash = "SELECT prefix_hash FROM messages WHERE message_id = ?1";

    private static readonly MessageContent s_emptyAnswer = new() { Role = "assistant" };

    private SessionHead? _readHead;
    private List<MessageContent>? _readHistory;

    public override string Operation => "begin_turn";

    /// <summary>
    /// Reads the history on a reader's connection before the command queues, so that long conversations do not hold up the writer.
    /// What was read is used only if the session's head is still the same.
    /// </summary>
    public void ReadAhead(DatabaseFile file)
    {
        if (turn.NewSession is not null)
        {
            return;
        }

        file.Read(reader =>
        {
            _readHead = SessionHead.Find(reader, turn.SessionId);
            if (_readHead is { MessageId: not null } && Scope.Allows(_readHead.UserId) && !_readHead.IsRepeatedBy(turn.Input, out _))
            {
                _readHistory = StoredPath.Read(reader, turn.SessionId, _readHead.MessageId);
            }

            return _readHead;
        });
    }

    protected override WriteResult Write(PreparedConnection database, string now)
    {
        if (SessionHead.Find(database, turn.SessionId) is not { } head)
        {
            return turn.NewSession is null ? SessionNotFound() : BeginSession(database, now);
        }

        if (!Scope.Allows(head.UserId))
        {
            return SessionNotFound();
        }

        if (IsStored(database, turn.AnswerMessageId, out var answersSession, out var answersParent))
        {
            return answersSession == turn.SessionId ? SentAgain(database, head, answersParent) : Invalid("answer_message_id is in use");
        }

        var (history, alreadyStored) = Continue(database, head);
        head.Count(database, turn.SessionId, turn.Input.Count - alreadyStored + 1, now);
        var userMessageId = WriteMessages(database, head, alreadyStored, now);
        return Begun(history, alreadyStored, userMessageId);
    }

    private WriteResult BeginSession(PreparedConnection database, string now)
    {
        SessionRows.Insert(database, turn.SessionId, turn.NewSession, turn.Input.Count + 1, now);
        var userMessageId = WriteMessages(database, new SessionHead(turn.NewSession.UserId, MessageId: null, Hash: null, LastSeq: 0), alreadyStored: 0, now);
        return Begun([], 0, userMessageId);
    }

    /// <summary>Adds the new input and the answer's row; returns the message that the answer follows.</summary>
    private string? WriteMessages(PreparedConnection database, SessionHead head, int alreadyStored, string now)
    {
        var (parentId, hash, seq) = (head.MessageId, head.HashBeforeNext, head.LastSeq);
        foreach (var message in turn.Input.Skip(alreadyStored))
        {
            hash = PrefixHash.After(hash, message.Content.Digest.Span);
            (NewRow(message.MessageId, parentId, ++seq, message.Content) with { PrefixHash = hash }).InsertInto(database, now);
            parentId = message.MessageId;
        }

        var answer = NewRow(turn.AnswerMessageId, parentId, ++seq, s_emptyAnswer) with
        {
            Status = MessageStatus.InProgress,
            Model = turn.Model is "" ? null : turn.Model,
        };
        answer.InsertInto(database, now);
        return parentId;
    }

    private MessageRow NewRow(string messageId, string? parentId, long seq, MessageContent content) =>
        new(messageId, turn.SessionId, parentId, seq, content)
        {
            RequestId = turn.RequestId is "" ? null : turn.RequestId,
            TraceId = turn.TraceId is "" ? null : turn.TraceId,
        };

    /// <summary>
    /// How the request continues the session. Either it repeats the whole transcript, and then its own messages are the prompt; or its
    /// messages are new, apart from the system prompt that clients send each time, and the stored ones come before them.
    /// </summary>
    private (List<MessageContent> History, int AlreadyStored) Continue(PreparedConnection database, SessionHead head)
    {
        if (head.IsRepeatedBy(turn.Input, out var repeated))
        {
            return ([], repeated);
        }

        var history = _readHistory is not null && head.IsSameAs(_readHead)
            ? _readHistory
            : StoredPath.Read(database, turn.SessionId, head.MessageId);
        var instructions = history.Where(message => message.IsInstruction()).ToList();
        var alreadyStored = turn.Input
            .TakeWhile(message => message.Content.IsInstruction() && instructions.Exists(message.Content.SaysTheSameAs))
            .Count();
        return (history, alreadyStored);
    }

    /// <summary>The answer that was lost: the same, made from the rows that the first sending left.</summary>
    private WriteResult SentAgain(PreparedConnection database, SessionHead head, string? answersParent)
    {
        var alreadyStored = 0;
        var continuedFrom = answersParent;
        foreach (var message in turn.Input)
        {
            if (IsStored(database, message.MessageId, out _, out var parent))
            {
                continuedFrom = parent;
                break;
            }

            alreadyStored++;
        }

        var then = head with { MessageId = continuedFrom, Hash = FindHash(database, continuedFrom) };
        var history = then.IsRepeatedBy(turn.Input, out _) ? [] : StoredPath.Read(database, turn.SessionId, continuedFrom);
        return Begun(history, alreadyStored, answersParent);
    }

    private WriteResult Begun(List<MessageContent> history, int alreadyStored, string? userMessageId) => new()
    {
        TurnBegun = new TurnBegun
        {
            SessionId = turn.SessionId,
            History = { history },
            InputAlreadyStored = alreadyStored,
            UserMessageId = userMessageId ?? "",
        },
    };

    private static bool IsStored(PreparedConnection database, string messageId, out string? sessionId, out string? parentId)
    {
        using var reader = database.Query(SelectParent, messageId);
        var found = reader.Read();
        sessionId = found ? reader.GetString(0) : null;
        parentId = found && !reader.IsDBNull(1) ? reader.GetString(1) : null;
        return found;
    }

    private static byte[]? FindHash(PreparedConnection database, string? messageId)
    {
        using var reader = database.Query(SelectHash, messageId);
        return reader.Read() && !reader.IsDBNull(0) ? reader.GetFieldValue<byte[]>(0) : null;
    }
}
