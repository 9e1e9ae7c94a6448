using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>The place of a turn in the tree, or why there is none.</summary>
internal sealed record TurnPlace(TurnStart? Start, bool IsNewSession = false, WriteResult? Refusal = null)
{
    /// <summary>The time after which a question counts as perhaps repeated, as the database holds times.</summary>
    public static string RepetitionsAfter(string now) => UtcText.Of(UtcText.Parse(now) - FoundTurn.RepetitionWindow);
}

/// <summary>Finds which session a turn belongs to, behind which message it stands, and how much of its input is stored already.</summary>
/// <param name="database">The writer's connection.</param>
/// <param name="turn">The command.</param>
/// <param name="scope">Whose sessions may be looked at.</param>
/// <param name="readHistory">Reads the path up to a message.</param>
/// <param name="now">The transaction's time.</param>
internal sealed class TurnPlaceFinder(
    PreparedConnection database, BeginTurn turn, UserScope scope, Func<string?, List<MessageContent>> readHistory, string now)
{
    private const string SelectInherited =
        """
        WITH RECURSIVE path (message_id, parent_id, seq) AS (
            SELECT m.message_id, m.parent_id, m.seq FROM sessions s JOIN messages m ON m.message_id = s.forked_from WHERE s.session_id = ?1
            UNION ALL
            SELECT m.message_id, m.parent_id, m.seq FROM path p JOIN messages m ON m.message_id = p.parent_id WHERE m.seq < p.seq)
        SELECT 1 FROM path WHERE message_id = ?2
        """;

    private readonly string? _askedAfter = turn.Repeated ? TurnPlace.RepetitionsAfter(now) : null;

    public TurnPlace Find()
    {
        if (turn.Placement == Placement.TranscriptOfAnySession)
        {
            return InAnySession();
        }

        var parent = turn.Placement == Placement.AfterParent ? StoredMessage.Find(database, turn.ParentMessageId) : null;
        if (turn.Placement == Placement.AfterParent && parent is null)
        {
            return Refused(Refusal.Types.Reason.MessageNotFound, "No such message.");
        }

        var sessionId = turn.SessionId is "" ? parent!.SessionId : turn.SessionId;
        if (SessionHead.Find(database, sessionId) is not { } head)
        {
            return turn.NewSession is null ? Refused(Refusal.Types.Reason.SessionNotFound, "No such session.") : NewSession();
        }

        if (!scope.Allows(head.UserId))
        {
            return parent is null
                ? Refused(Refusal.Types.Reason.SessionNotFound, "No such session.")
                : Refused(Refusal.Types.Reason.MessageNotFound, "No such message.");
        }

        return turn.Placement switch
        {
            Placement.AfterParent => AfterParent(sessionId, head, parent!),
            Placement.TranscriptOfSession => InSession(sessionId, head),
            _ => AfterHead(sessionId, head),
        };
    }

    private TurnPlace NewSession() =>
        new(new TurnStart(turn.SessionId, turn.NewSession.UserId, ParentId: null, PrefixHash.OfOwner(turn.NewSession.UserId), LastSeq: 0), IsNewSession: true);

    private TurnPlace InAnySession()
    {
        var origin = NewSession();
        return TranscriptMatch.Find(database, origin.Start!, turn.Input, sessionId: null, _askedAfter) is { } match
            && SessionHead.Find(database, match.Parent.SessionId) is { } head && head.UserId == turn.NewSession.UserId
                ? new TurnPlace(new TurnStart(match.Parent.SessionId, head.UserId, match.Parent.MessageId, match.Hash, head.LastSeq, match.AlreadyStored))
                : origin;
    }

    private TurnPlace InSession(string sessionId, SessionHead head) => new(FindInSession(sessionId, head) ?? Origin(sessionId, head));

    /// <summary>
    /// How the request continues the session. Either it repeats a stored path from its beginning, and then its own messages are the prompt; or its
    /// messages are new, apart from the system prompt that clients send each time, and the stored ones come before them.
    /// </summary>
    private TurnPlace AfterHead(string sessionId, SessionHead head)
    {
        var start = TurnStart.AtHead(sessionId, head);
        if (head.IsRepeatedBy(turn.Input, out var repeated))
        {
            return new TurnPlace(AtStoredQuestion(start with { AlreadyStored = repeated, HistoryEnd = null }));
        }

        // An edit or a regeneration by a client that names the session and sends the transcript all the same.
        if (turn.Input.Any(message => message.Content.Role == "assistant")
            && FindInSession(sessionId, head) is { } place && turn.Input.Take(place.AlreadyStored).Any(message => message.Content.Role == "assistant"))
        {
            return new TurnPlace(place);
        }

        var next = WithoutRepeatedInstructions(start);
        var question = AtStoredQuestion(next);
        return new TurnPlace(question.AlreadyStored == turn.Input.Count ? question : AtLastQuestion(sessionId, head) ?? next);
    }

    private TurnPlace AfterParent(string sessionId, SessionHead head, StoredMessage parent)
    {
        if (parent.SessionId != sessionId && !IsInherited(sessionId, parent.MessageId))
        {
            return Refused(Refusal.Types.Reason.MessageNotFound, "No such message in this session.");
        }

        if (parent.Status == MessageStatus.InProgress)
        {
            return Refused(Refusal.Types.Reason.Invalid, "parent_message_id is an answer that is not complete yet");
        }

        if (turn.Input.Count == 0 && parent.IsAnswer)
        {
            return Refused(Refusal.Types.Reason.Invalid, "parent_message_id is an answer already; without new messages, name the message that is to be answered again");
        }

        var start = new TurnStart(sessionId, head.UserId, parent.MessageId, parent.Hash, head.LastSeq) { HistoryEnd = parent.MessageId };
        return new TurnPlace(turn.Input.Count == 0 ? start : AtStoredQuestion(WithoutRepeatedInstructions(start)));
    }

    private static TurnStart Origin(string sessionId, SessionHead head) =>
        new(sessionId, head.UserId, ParentId: null, PrefixHash.OfOwner(head.UserId), head.LastSeq);

    private TurnStart? FindInSession(string sessionId, SessionHead head)
    {
        var origin = Origin(sessionId, head);
        return TranscriptMatch.Find(database, origin, turn.Input, sessionId, _askedAfter) is { } match
            ? origin.Past(match.Parent, match.Hash, match.AlreadyStored)
            : null;
    }

    private TurnStart WithoutRepeatedInstructions(TurnStart start)
    {
        if (turn.Input.Count == 0 || !turn.Input[0].Content.IsInstruction())
        {
            return start;
        }

        var instructions = readHistory(start.HistoryEnd).Where(message => message.IsInstruction()).ToList();
        return start with
        {
            AlreadyStored = turn.Input
                .TakeWhile(message => message.Content.IsInstruction() && instructions.Exists(message.Content.SaysTheSameAs))
                .Count(),
        };
    }

    /// <summary>Where the rest of the input is stored already, as a question that got no answer: it is asked again, not stored again.</summary>
    private TurnStart AtStoredQuestion(TurnStart start)
    {
        var rest = turn.Input.Skip(start.AlreadyStored).ToList();
        if (rest.Count == 0 || start.Chain(rest)[^1] is not { } hash)
        {
            return start;
        }

        var question = StoredMessage.FindByHash(database, hash, start.SessionId).FirstOrDefault(candidate =>
            candidate.IsUnanswered(database) || (_askedAfter is not null && string.CompareOrdinal(candidate.CreatedAt, _askedAfter) > 0));
        return question is null ? start : start.Past(question, hash, turn.Input.Count);
    }

    /// <summary>Of a repetition: where the head's own turn asked the same. The first sending was answered, but its client does not know.</summary>
    private TurnStart? AtLastQuestion(string sessionId, SessionHead head)
    {
        if (_askedAfter is null || head.MessageId is null || OpenTurn.Find(database, sessionId, head.MessageId) is not { Answer.ParentId: { } parentId } last
            || StoredMessage.Find(database, parentId) is not { Hash: { } asked } question)
        {
            return null;
        }

        var before = OpenTurn.FindStart(database, parentId, last.Answer.RequestId);
        var hash = before is null ? PrefixHash.OfOwner(head.UserId) : StoredMessage.Find(database, before)?.Hash;
        var start = WithoutRepeatedInstructions(new TurnStart(sessionId, head.UserId, before, hash, head.LastSeq) { HistoryEnd = before });
        var rest = turn.Input.Skip(start.AlreadyStored).ToList();
        return rest.Count > 0 && start.Chain(rest)[^1].AsSpan().SequenceEqual(asked) ? start.Past(question, asked, turn.Input.Count) : null;
    }

    private bool IsInherited(string sessionId, string messageId)
    {
        using var reader = database.Query(SelectInherited, sessionId, messageId);
        return reader.Read();
    }

    private static TurnPlace Refused(Refusal.Types.Reason reason, string detail) => new(Start: null, Refusal: TurnCommand.Refuse(reason, detail));
}
