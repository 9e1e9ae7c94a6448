using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Sessions;

namespace ChatHistory.StorageService.Messages;

/// <summary>Which messages of a list are asked for: those behind <paramref name="AfterSeq"/> (before it, descending), or behind so many.</summary>
internal readonly record struct MessagePage(int Limit, int Offset, long? AfterSeq, bool Descending);

/// <summary>Pages of a session's messages, and of paths. Each reads one message more than asked for, to tell whether there is more.</summary>
/// <remarks>They are what a history is read by, so they are statements of ours, as a turn's are, and not EF's (decision 35).</remarks>
internal static class MessagePages
{
    internal const string SelectAfter = $"SELECT {Message.Columns} FROM messages WHERE session_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";

    internal const string SelectBefore = $"SELECT {Message.Columns} FROM messages WHERE session_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";

    internal const string SelectById = $"SELECT {Message.Columns} FROM messages WHERE message_id = ?1";

    internal const string SelectSeqAtOffset = "SELECT seq FROM messages WHERE session_id = ?1 ORDER BY seq LIMIT 1 OFFSET ?2";

    internal const string SelectSeqAtOffsetFromEnd = "SELECT seq FROM messages WHERE session_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2";

    private const string CountOwn = "SELECT count(*) FROM messages WHERE session_id = ?1";

    /// <summary>A page of all that a session shows, by seq.</summary>
    public static (List<Message> Messages, bool HasMore) ReadMessages(
        PreparedConnection database, SessionView view, MessagePage page, CancellationToken cancellationToken)
    {
        var wanted = page.Limit + 1;
        List<Message> messages = [];
        if (page.Descending)
        {
            messages = ReadOwn(database, view.Session, page, wanted, cancellationToken);
            if (messages.Count < wanted && view.Inherited.Count > 0)
            {
                var own = page is { AfterSeq: null, Offset: > 0 } ? database.Number(CountOwn, view.Session.SessionId)!.Value : 0;
                var rest = page with { Limit = wanted - messages.Count, Offset = (int)Math.Max(0, page.Offset - own) };
                messages.AddRange(Load(database, Cut(view.Inherited, rest), cancellationToken));
            }
        }
        else
        {
            if (view.Inherited.Count > 0)
            {
                messages = Load(database, Cut(view.Inherited, page with { Limit = wanted }), cancellationToken);
            }

            if (messages.Count < wanted)
            {
                var rest = page with { Offset = Math.Max(0, page.Offset - view.Inherited.Count) };
                messages.AddRange(ReadOwn(database, view.Session, rest, wanted - messages.Count, cancellationToken));
            }
        }

        return HasMore(messages, page.Limit);
    }

    /// <summary>A page of a path.</summary>
    public static (List<Message> Messages, bool HasMore) ReadPath(
        PreparedConnection database, IReadOnlyList<PlaceOnPath> path, MessagePage page, CancellationToken cancellationToken) =>
        page.Limit == 0
            ? (Load(database, Cut(path, page with { Limit = int.MaxValue }), cancellationToken), false)
            : HasMore(Load(database, Cut(path, page with { Limit = page.Limit + 1 }), cancellationToken), page.Limit);

    private static (List<Message> Messages, bool HasMore) HasMore(List<Message> messages, int limit)
    {
        var hasMore = messages.Count > limit;
        return (hasMore ? messages[..limit] : messages, hasMore);
    }

    private static IEnumerable<string> Cut(IReadOnlyList<PlaceOnPath> path, MessagePage page)
    {
        var places = page.Descending ? path.Reverse() : path;
        places = page.AfterSeq is { } seq
            ? places.Where(place => page.Descending ? place.Seq < seq : place.Seq > seq)
            : places.Skip(page.Offset);
        return places.Take(page.Limit).Select(place => place.MessageId);
    }

    private static List<Message> ReadOwn(
        PreparedConnection database, Session session, MessagePage page, int wanted, CancellationToken cancellationToken) =>
        (page.AfterSeq ?? SeqAtOffset(database, session, page)) is { } seq
            ? Message.ReadAll(database.Query(page.Descending ? SelectBefore : SelectAfter, session.SessionId, seq, wanted), cancellationToken)
            : [];

    /// <summary>
    /// The seq after which (or, descending, before which) a page begins that skips <see cref="MessagePage.Offset"/> of the session's own messages;
    /// null when it has fewer.
    /// </summary>
    private static long? SeqAtOffset(PreparedConnection database, Session session, MessagePage page)
    {
        // Nothing was ever deleted: the seqs are 1, 2, 3, ... and nothing needs to be skipped one by one.
        if (session.LastSeq == session.MessageCount && session.ForkedFrom is null)
        {
            return page.Descending ? session.LastSeq - page.Offset + 1 : page.Offset;
        }

        return page switch
        {
            { Offset: 0, Descending: true } => long.MaxValue,
            { Offset: 0 } => 0,
            _ => database.Number(page.Descending ? SelectSeqAtOffsetFromEnd : SelectSeqAtOffset, session.SessionId, page.Offset - 1),
        };
    }

    private static List<Message> Load(PreparedConnection database, IEnumerable<string> messageIds, CancellationToken cancellationToken)
    {
        List<Message> messages = [];
        foreach (var id in messageIds)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var row = database.Query(SelectById, id);
            if (row.Read())
            {
                messages.Add(Message.Read(row));
            }
        }

        return messages;
    }
}
