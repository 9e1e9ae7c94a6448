using ChatHistory.StorageService.Database;
using Microsoft.EntityFrameworkCore;

namespace ChatHistory.StorageService.Sessions;

/// <summary>Queries of sessions. Whose may be read, the caller has checked against its scope.</summary>
internal static class SessionQueries
{
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
}
