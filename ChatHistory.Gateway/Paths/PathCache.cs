using ChatHistory.Storage.V1;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Paths;

/// <summary>
/// What sessions said last, so that a turn that goes on from there need not be sent it again. Nothing depends on it: storage says with each turn whether a path is still
/// what it was (<see cref="PathVersion"/>), and sends the history where it is not (decision 30).
/// </summary>
internal sealed class PathCache : IDisposable
{
    // So many have room, however long they are.
    private const int MinPaths = 16;

    private readonly MemoryCache? _paths;
    private readonly PathCacheOptions _options;

    public PathCache(IOptions<PathCacheOptions> options)
    {
        _options = options.Value;
        _paths = _options.MaxBytes > 0 ? new MemoryCache(new MemoryCacheOptions { SizeLimit = _options.MaxBytes }) : null;
    }

    /// <summary>The path that a session had at the end of its last turn here; null when it is not kept.</summary>
    public CachedPath? Find(Scope scope, string sessionId) => _paths?.Get<CachedPath>(KeyOf(scope, sessionId));

    /// <summary>Keeps a session's path, in the place of the one before. Not one that would take the place of a dozen others, nor one so short that it is soon sent again.</summary>
    /// <param name="answer">What comes behind the path.</param>
    /// <param name="version">What storage knows the path with the answer by.</param>
    public void Keep(Scope scope, string sessionId, TurnPath path, MessageContent answer, PathVersion version)
    {
        if (_paths is null)
        {
            return;
        }

        var key = KeyOf(scope, sessionId);
        var bytes = path.Bytes + answer.CalculateSize();
        if (bytes < _options.MinBytes || bytes > _options.MaxBytes / MinPaths)
        {
            _paths.Remove(key);
            return;
        }

        var kept = path.With(answer, version);
        _paths.Set(key, kept, new MemoryCacheEntryOptions { Size = kept.Bytes, SlidingExpiration = _options.IdleTime });
    }

    public void Dispose() => _paths?.Dispose();

    // Whose it is belongs to the key, although storage would not confirm another's path anyway.
    private static (string Owner, string SessionId) KeyOf(Scope scope, string sessionId) => (scope.Owner, sessionId);
}
