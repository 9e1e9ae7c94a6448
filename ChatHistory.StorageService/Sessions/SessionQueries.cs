using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;
using Microsoft.EntityFrameworkCore;

namespace ChatHistory.StorageService.Sessions;

/// <summary>The queries of sessions and their messages. Each takes the scope: there is none without it.</summary>
internal static class SessionQueries
{
    private static readonly Func<ChatHistoryDbContext, string, string?, CancellationToken, Task<Session?>> s_find =
        EF.CompileAsyncQuery((ChatHistoryDbContext database, string sessionId, string? owner, CancellationToken cancellationToken) =>
            database.Sessions.SingleOrDefault(s => s.SessionId == sessionId && (owner == null || s.UserId == owner)));

    private static readonly Func<ChatHistoryDbContext, string, long, int, IAsyncEnumerable<Message>> s_messagesAfter =
        EF.CompileAsyncQuery((ChatHistoryDbContext database, string sessionId, long afterSeq, int limit) =>
            database.Messages.Where(m => m.SessionId == sessionId && m.Seq > afterSeq).OrderBy(m => m.Seq).Take(limit));

    private static readonly Func<ChatHistoryDbContext, string, long, int, IAsyncEnumerable<Message>> s_messagesBefore =
        EF.CompileAsyncQuery((ChatHistoryDbContext database, string sessionId, long beforeSeq, int limit) =>
            database.Messages.Where(m => m.SessionId == sessionId && m.Seq < beforeSeq).OrderByDescending(m => m.Seq).Take(limit));

    /// <summary>The session, or null when there is none or it is not in the scope.</summary>
    public static Task<Session?> FindSessionAsync(this ChatHistoryDbContext database, string sessionId, UserScope scope, CancellationToken cancellationToken) =>
        s_find(database, sessionId, scope.Owner, cancellationToken);

    /// <summary>A page of sessions, newest activity first: a user's, or everybody's when <paramref name="userId"/> is null.</summary>
    /// <remarks>A user's list comes out of its index in order; everybody's is sorted.</remarks>
    public static Task<List<Session>> ListSessionsAsync(
        this ChatHistoryDbContext database, string? userId, SessionCursor? after, int offset, int limit, CancellationToken cancellationToken)
    {
        IQueryable<Session> sessions = database.Sessions;
        if (userId is not null)
        {
            sessions = sessions.Where(s => s.UserId == userId);
        }

        if (after is var (updatedAt, sessionId))
        {
            // The first comparison alone is a range of the index; SQLite would read from the list's beginning for "a < x OR (a = x AND b < y)".
            sessions = sessions.Where(s =>
                string.Compare(s.UpdatedAt, updatedAt) <= 0
                && (string.Compare(s.UpdatedAt, updatedAt) < 0 || string.Compare(s.SessionId, sessionId) < 0));
        }

        sessions = sessions.OrderByDescending(s => s.UpdatedAt).ThenByDescending(s => s.SessionId);
        if (after is null && offset > 0)
        {
            sessions = sessions.Skip(offset);
        }

        return sessions.Take(limit).ToListAsync(cancellationToken);
    }

    /// <summary>Sessions by creation, from behind <paramref name="anchor"/> on, or from the first one.</summary>
    public static Task<List<Session>> ListSessionsByCreationAsync(
        this ChatHistoryDbContext database, string? userId, Session? anchor, bool descending, int limit, CancellationToken cancellationToken)
    {
        IQueryable<Session> sessions = database.Sessions;
        if (userId is not null)
        {
            sessions = sessions.Where(s => s.UserId == userId);
        }

        if (anchor is { CreatedAt: var createdAt, SessionId: var sessionId })
        {
            sessions = descending
                ? sessions.Where(s => string.Compare(s.CreatedAt, createdAt) < 0 || (s.CreatedAt == createdAt && string.Compare(s.SessionId, sessionId) < 0))
                : sessions.Where(s => string.Compare(s.CreatedAt, createdAt) > 0 || (s.CreatedAt == createdAt && string.Compare(s.SessionId, sessionId) > 0));
        }

        sessions = descending
            ? sessions.OrderByDescending(s => s.CreatedAt).ThenByDescending(s => s.SessionId)
            : sessions.OrderBy(s => s.CreatedAt).ThenBy(s => s.SessionId);
        return sessions.Take(limit).ToListAsync(cancellationToken);
    }

    /// <summary>How many sessions a user has, or all users have: counters, nothing is counted.</summary>
    public static Task<long> CountSessionsAsync(this ChatHistoryDbContext database, string? userId, CancellationToken cancellationToken) =>
        database.Users.Where(u => userId == null || u.UserId == userId).SumAsync(u => u.SessionCount, cancellationToken);

    /// <summary>Messages in the order in which they were written, from behind <paramref name="afterSeq"/> on.</summary>
    public static ValueTask<List<Message>> ListMessagesAfterAsync(
        this ChatHistoryDbContext database, string sessionId, long afterSeq, int limit, CancellationToken cancellationToken) =>
        s_messagesAfter(database, sessionId, afterSeq, limit).ToListAsync(cancellationToken);

    /// <summary>Messages newest first, from before <paramref name="beforeSeq"/> on.</summary>
    public static ValueTask<List<Message>> ListMessagesBeforeAsync(
        this ChatHistoryDbContext database, string sessionId, long beforeSeq, int limit, CancellationToken cancellationToken) =>
        s_messagesBefore(database, sessionId, beforeSeq, limit).ToListAsync(cancellationToken);

    /// <summary>
    /// The seq after which (or, descending, before which) a page begins that skips <paramref name="offset"/> of the session's own messages;
    /// null when it has fewer.
    /// </summary>
    public static async Task<long?> FindSeqAtOffsetAsync(
        this ChatHistoryDbContext database, Session session, int offset, bool descending, CancellationToken cancellationToken)
    {
        // Nothing was ever deleted: the seqs are 1, 2, 3, ... and nothing needs to be skipped one by one.
        if (session.LastSeq == session.MessageCount && session.ForkedFrom is null)
        {
            return descending ? session.LastSeq - offset + 1 : offset;
        }

        if (offset == 0)
        {
            return descending ? long.MaxValue : 0;
        }

        var seqs = database.Messages.Where(m => m.SessionId == session.SessionId).Select(m => m.Seq);
        return await (descending ? seqs.OrderDescending() : seqs.Order()).Skip(offset - 1).FirstOrDefaultAsync(cancellationToken);
    }
}
