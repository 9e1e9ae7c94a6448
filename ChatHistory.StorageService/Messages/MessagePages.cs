using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Sessions;
using Microsoft.EntityFrameworkCore;

namespace ChatHistory.StorageService.Messages;

/// <summary>Which messages of a list are asked for: those behind <paramref name="AfterSeq"/> (before it, descending), or behind so many.</summary>
internal readonly record struct MessagePage(int Limit, int Offset, long? AfterSeq, bool Descending);

/// <summary>Pages of a session's messages, and of paths. Each reads one message more than asked for, to tell whether there is more.</summary>
internal static class MessagePages
{
    /// <summary>A page of all that a session shows, by seq.</summary>
    public static async Task<(List<Message> Messages, bool HasMore)> ReadMessagesAsync(
        this ChatHistoryDbContext database, SessionView view, MessagePage page, CancellationToken cancellationToken)
    {
        var wanted = page.Limit + 1;
        List<Message> messages = [];
        if (page.Descending)
        {
            messages = await ReadOwnAsync(database, view.Session, page, wanted, cancellationToken);
            if (messages.Count < wanted && view.Inherited.Count > 0)
            {
                var own = page is { AfterSeq: null, Offset: > 0 }
                    ? await database.Messages.CountAsync(m => m.SessionId == view.Session.SessionId, cancellationToken)
                    : 0;
                var rest = page with { Limit = wanted - messages.Count, Offset = Math.Max(0, page.Offset - own) };
                messages.AddRange(await LoadAsync(database, Cut(view.Inherited, rest), cancellationToken));
            }
        }
        else
        {
            if (view.Inherited.Count > 0)
            {
                messages = await LoadAsync(database, Cut(view.Inherited, page with { Limit = wanted }), cancellationToken);
            }

            if (messages.Count < wanted)
            {
                var rest = page with { Offset = Math.Max(0, page.Offset - view.Inherited.Count) };
                messages.AddRange(await ReadOwnAsync(database, view.Session, rest, wanted - messages.Count, cancellationToken));
            }
        }

        return HasMore(messages, page.Limit);
    }

    /// <summary>A page of a path.</summary>
    public static async Task<(List<Message> Messages, bool HasMore)> ReadPathAsync(
        this ChatHistoryDbContext database, IReadOnlyList<PlaceOnPath> path, MessagePage page, CancellationToken cancellationToken) =>
        page.Limit == 0
            ? (await LoadAsync(database, Cut(path, page with { Limit = int.MaxValue }), cancellationToken), false)
            : HasMore(await LoadAsync(database, Cut(path, page with { Limit = page.Limit + 1 }), cancellationToken), page.Limit);

    private static (List<Message> Messages, bool HasMore) HasMore(List<Message> messages, int limit)
    {
        var hasMore = messages.Count > limit;
        return (hasMore ? messages[..limit] : messages, hasMore);
    }

    private static string[] Cut(IReadOnlyList<PlaceOnPath> path, MessagePage page)
    {
        var places = page.Descending ? path.Reverse() : path;
        places = page.AfterSeq is { } seq
            ? places.Where(place => page.Descending ? place.Seq < seq : place.Seq > seq)
            : places.Skip(page.Offset);
        return [.. places.Take(page.Limit).Select(place => place.MessageId)];
    }

    private static async Task<List<Message>> ReadOwnAsync(
        ChatHistoryDbContext database, Session session, MessagePage page, int wanted, CancellationToken cancellationToken)
    {
        var from = page.AfterSeq ?? await database.FindSeqAtOffsetAsync(session, page.Offset, page.Descending, cancellationToken);
        return from switch
        {
            null => [],
            { } seq when page.Descending => await database.ListMessagesBeforeAsync(session.SessionId, seq, wanted, cancellationToken),
            { } seq => await database.ListMessagesAfterAsync(session.SessionId, seq, wanted, cancellationToken),
        };
    }

    // What was deleted since the path was read is left out.
    private static async Task<List<Message>> LoadAsync(ChatHistoryDbContext database, string[] messageIds, CancellationToken cancellationToken)
    {
        if (messageIds.Length == 0)
        {
            return [];
        }

        var rows = await database.Messages.Where(m => messageIds.Contains(m.MessageId)).ToDictionaryAsync(m => m.MessageId, cancellationToken);
        return [.. messageIds.Select(id => rows.GetValueOrDefault(id)).OfType<Message>()];
    }
}
