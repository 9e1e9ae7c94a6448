using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Sessions;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>
/// Starts a turn: finds its place in the tree (<see cref="TurnPlaceFinder"/>), stores the request's new messages and the answer's row with status
/// in_progress. Or finds that a first sending of the request has done so already (<see cref="FoundTurn"/>).
/// </summary>
/// <remarks>
/// The session's head does not move yet. It moves when the turn ends with something to continue from, so that a question which no model
/// can answer does not come back in every later prompt.
/// </remarks>
internal sealed class BeginTurnCommand(BeginTurn turn, UserScope scope, int size) : TurnCommand(scope, size)
{
    private static readonly MessageContent s_emptyAnswer = new() { Role = "assistant" };

    private string? _readEnd;
    private byte[]? _readHash;
    private long _readEpoch;
    private List<MessageContent>? _read;

    public override string Operation => "begin_turn";

    /// <summary>
    /// Reads the history on a reader's connection before the command queues, so that long conversations do not hold up the writer.
    /// What was read is used only if the history's end is still the same. A path that the caller knows is not read.
    /// </summary>
    public void ReadAhead(DatabaseFile file)
    {
        if (turn.NewSession is not null || turn.Placement is not (Placement.AfterHead or Placement.AfterParent))
        {
            return;
        }

        _readEpoch = file.Epoch.Value;
        var bringsInstructions = turn.Input.FirstOrDefault()?.Content.IsInstruction() == true;
        file.Read(reader =>
        {
            // The usual continuation: a glance at the session is enough. The transaction makes sure, as always.
            if (turn.Placement == Placement.AfterHead && !bringsInstructions && turn.KnownPath.IsOfEpoch(file.Epoch)
                && SessionHead.FindMessageId(reader, turn.SessionId) == turn.KnownPath.EndMessageId)
            {
                return null;
            }

            if (turn.Placement == Placement.AfterParent)
            {
                // Somebody else's is not read: how long that takes would tell that it is there.
                var parent = StoredMessage.Find(reader, turn.ParentMessageId);
                var isAllowed = parent is not null && SessionHead.Find(reader, parent.SessionId) is { } owned && Scope.Allows(owned.UserId);
                (_readEnd, _readHash) = isAllowed ? (parent!.MessageId, parent.Hash) : (null, null);
            }
            else if (SessionHead.Find(reader, turn.SessionId) is { } head && Scope.Allows(head.UserId) && !head.IsRepeatedBy(turn.Input, out _))
            {
                (_readEnd, _readHash) = (head.MessageId, head.Hash);
            }

            // Instructions of the request are compared with those of the history.
            var isNeeded = _readEnd is not null && (!turn.KnownPath.IsOf(file.Epoch, _readEnd, _readHash) || bringsInstructions);
            _read = !isNeeded ? null : StoredPath.Read(reader, turn.SessionId, _readEnd);
            return _read;
        });
    }

    protected override WriteResult Write(PreparedConnection database, string now)
    {
        if (StoredMessage.Find(database, turn.AnswerMessageId) is { } sent)
        {
            return SentAgain(database, sent);
        }

        var place = new TurnPlaceFinder(database, turn, Scope, end => ReadHistory(database, end), now).Find();
        if (place.Refusal is not null)
        {
            return place.Refusal;
        }

        var start = place.Start!;
        var isNewSession = place.IsNewSession;
        if (turn.Idempotency is { } idempotency)
        {
            if (!FoundTurn.TryFind(database, start.UserId, idempotency, out var first))
            {
                return Refuse(Refusal.Types.Reason.KeyReused, "idempotency.key was used for another request");
            }

            if (first is not null && IsToBeGivenAgain(first))
            {
                return FoundTurn.ToResult(first);
            }

            if (first is { ParentId: not null })
            {
                start = BehindTheSameQuestion(database, place, first);
                isNewSession = false;
            }
        }
        else if (turn.Repeated && start.ParentId is not null && start.AlreadyStored == turn.Input.Count
            && StoredMessage.Find(database, start.ParentId)?.FindAnswer(database) is { } earlier
            && IsToBeGivenAgain(earlier) && string.CompareOrdinal(earlier.CreatedAt, TurnPlace.RepetitionsAfter(now)) > 0)
        {
            return FoundTurn.ToResult(earlier);
        }

        if (StoredBytes.AreExceeded(database, Scope, Size))
        {
            return QuotaExceeded();
        }

        if (turn.HasSupersedes)
        {
            FoundTurn.Supersede(database, turn.Supersedes, now);
        }

        return Begin(database, start, isNewSession, now);
    }

    // What is to be superseded may have come to its end meanwhile.
    private bool IsToBeGivenAgain(StoredMessage answer) =>
        answer.IsUsable && !(turn.HasSupersedes && turn.Supersedes == answer.MessageId && answer.Status == MessageStatus.InProgress);

    /// <summary>The first sending's question is stored; its answer failed, was given up, or is to be superseded.</summary>
    private TurnStart BehindTheSameQuestion(PreparedConnection database, TurnPlace place, StoredMessage first)
    {
        var head = SessionHead.Find(database, first.SessionId)!;
        var requestId = OpenTurn.Find(database, first.SessionId, first.MessageId)?.Answer?.RequestId;
        return new TurnStart(first.SessionId, head.UserId, first.ParentId, StoredMessage.Find(database, first.ParentId!)?.Hash, head.LastSeq, turn.Input.Count)
        {
            HistoryEnd = place.Start!.HistoryEnd is null ? null : OpenTurn.FindStart(database, first.ParentId, requestId),
        };
    }

    private WriteResult Begin(PreparedConnection database, TurnStart start, bool isNewSession, string now)
    {
        var rows = NewRows(start);
        var bytes = rows.Sum(row => row.Bytes);
        if (isNewSession)
        {
            SessionRows.Insert(database, start.SessionId, turn.NewSession, rows.Count, bytes, now);
        }
        else
        {
            SessionHead.Count(database, start.SessionId, start.UserId, rows.Count, bytes, now);
        }

        var isKnown = turn.KnownPath is { } known && start.HistoryEnd is { } end && known.IsOf(database.Epoch!, end, StoredMessage.Find(database, end)?.Hash);
        var history = isKnown ? [] : ReadHistory(database, start.HistoryEnd);
        var context = StoredMessage.FindContext(database, start.HistoryEnd);
        foreach (var row in rows)
        {
            row.InsertInto(database, now);
        }

        if (turn.Idempotency is { } idempotency)
        {
            FoundTurn.Remember(database, start.UserId, idempotency, turn.AnswerMessageId, now);
        }

        // Otherwise the turn follows messages that are neither in the history nor new.
        var isPath = start.ParentId == start.HistoryEnd;
        var path = isPath ? PathVersions.Of(database.Epoch!, rows[^1].ParentId, rows.Count > 1 ? rows[^2].PrefixHash : start.Hash) : null;
        var begun = Begun(start.SessionId, history, context, start.AlreadyStored, userMessageId: rows[^1].ParentId, path);
        begun.TurnBegun.HistoryKnown = isKnown;
        return begun;
    }

    /// <summary>The new input, and behind it the answer's row.</summary>
    private List<MessageRow> NewRows(TurnStart start)
    {
        var rows = new List<MessageRow>(turn.Input.Count - start.AlreadyStored + 1);
        var (parentId, hash, seq) = (start.ParentId, start.Hash, start.LastSeq);
        foreach (var message in turn.Input.Skip(start.AlreadyStored))
        {
            hash = PrefixHash.After(hash, message.Content.Digest.Span);
            rows.Add(NewRow(start.SessionId, message.MessageId, parentId, ++seq, message.Content) with { PrefixHash = hash });
            parentId = message.MessageId;
        }

        rows.Add(NewRow(start.SessionId, turn.AnswerMessageId, parentId, ++seq, s_emptyAnswer) with
        {
            Status = MessageStatus.InProgress,
            Model = turn.Model is "" ? null : turn.Model,
            UserId = start.UserId,
            Metadata = turn.HasMetadata ? turn.Metadata : null,
            Request = turn.HasRequest ? turn.Request : null,
        });
        return rows;
    }

    private MessageRow NewRow(string sessionId, string messageId, string? parentId, long seq, MessageContent content) =>
        new(messageId, sessionId, parentId, seq, content)
        {
            RequestId = turn.RequestId is "" ? null : turn.RequestId,
            TraceId = turn.TraceId is "" ? null : turn.TraceId,
        };

    private List<MessageContent> ReadHistory(PreparedConnection database, string? end)
    {
        if (end is null)
        {
            return [];
        }

        // The hash and the epoch tell when one of the messages was changed or deleted meanwhile. Where the hash is unknown already, nothing would tell.
        return _read is not null && _readHash is not null && _readEpoch == database.Epoch!.Value && _readEnd == end && _readHash.AsSpan().SequenceEqual(StoredMessage.Find(database, end)?.Hash)
            ? _read
            : StoredPath.Read(database, turn.SessionId, end);
    }

    /// <summary>The answer to a command that was lost: the same, made from the rows that the first sending left.</summary>
    private WriteResult SentAgain(PreparedConnection database, StoredMessage answer)
    {
        if (SessionHead.Find(database, answer.SessionId) is not { } head || !Scope.Allows(head.UserId))
        {
            return SessionNotFound();
        }

        if (turn.SessionId.Length > 0 && turn.Placement != Placement.TranscriptOfAnySession && turn.SessionId != answer.SessionId)
        {
            return Invalid("answer_message_id is in use");
        }

        var alreadyStored = 0;
        var continuedFrom = answer.ParentId;
        foreach (var message in turn.Input)
        {
            if (StoredMessage.Find(database, message.MessageId) is { } stored)
            {
                continuedFrom = stored.ParentId;
                break;
            }

            alreadyStored++;
        }

        var then = head with { MessageId = continuedFrom, Hash = continuedFrom is null ? null : StoredMessage.Find(database, continuedFrom)?.Hash };
        var isTranscript = turn.Placement is Placement.TranscriptOfAnySession or Placement.TranscriptOfSession
            || (turn.Placement == Placement.AfterHead && then.IsRepeatedBy(turn.Input, out _));
        var historyEnd = isTranscript ? null : alreadyStored < turn.Input.Count ? continuedFrom : BeforeStoredInput(database, continuedFrom, head.UserId);
        var history = historyEnd is null ? [] : StoredPath.Read(database, answer.SessionId, historyEnd);
        var isPath = continuedFrom == historyEnd && answer.ParentId is not null;
        var path = isPath ? PathVersions.Of(database.Epoch!, answer.ParentId, StoredMessage.Find(database, answer.ParentId!)?.Hash) : null;
        return Begun(answer.SessionId, history, StoredMessage.FindContext(database, historyEnd), alreadyStored, answer.ParentId, path);
    }

    /// <summary>Where the history ended, when all of the input was stored before: in front of as much of the input as the path up to <paramref name="end"/> ends with. Instructions may stand further up.</summary>
    private string? BeforeStoredInput(PreparedConnection database, string? end, string userId)
    {
        if (turn.Placement == Placement.AfterParent)
        {
            return turn.ParentMessageId;
        }

        var last = end is null ? null : StoredMessage.Find(database, end);
        foreach (var message in turn.Input.Reverse())
        {
            var before = last?.ParentId is null ? null : StoredMessage.Find(database, last.ParentId);
            var hash = last?.ParentId is null ? PrefixHash.OfOwner(userId) : before?.Hash;
            if (last?.Hash is null || !last.Hash.AsSpan().SequenceEqual(PrefixHash.After(hash, message.Content.Digest.Span)))
            {
                break;
            }

            last = before;
        }

        return last?.MessageId;
    }

    private WriteResult Begun(
        string sessionId, List<MessageContent> history, (int Omitted, int? Tokens) context, int alreadyStored, string? userMessageId, PathVersion? path)
    {
        var begun = new TurnBegun
        {
            SessionId = sessionId,
            History = { history },
            Omitted = context.Omitted,
            InputAlreadyStored = alreadyStored,
            UserMessageId = userMessageId ?? "",
            AnswerMessageId = turn.AnswerMessageId,
            Status = TurnStatus.InProgress,
            Path = path,
        };
        if (context.Tokens is { } tokens)
        {
            begun.KnownTokens = tokens;
        }

        return new WriteResult { TurnBegun = begun };
    }
}
