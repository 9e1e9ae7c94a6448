using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Paths;

/// <summary>The path of one turn: the history that it goes on from, and what it will be once the answer is behind it.</summary>
internal sealed class TurnPath
{
    private readonly CachedPath? _known;
    private readonly IReadOnlyList<MessageContent> _sent;
    private readonly IEnumerable<MessageContent> _added;

    private TurnPath(CachedPath? known, IReadOnlyList<MessageContent> sent, IEnumerable<MessageContent> added, PathVersion? version)
    {
        _known = known;
        _sent = sent;
        _added = added;
        Version = version;
    }

    /// <summary>The path up to the answer; null where it is not known well enough to be kept.</summary>
    public PathVersion? Version { get; }

    /// <summary>What the path takes in memory as it is kept, about.</summary>
    public long Bytes => (_known?.MessageBytes ?? _sent.Sum(message => (long)message.CalculateSize())) + _added.Sum(message => (long)message.CalculateSize());

    /// <param name="begin">What was asked of storage.</param>
    /// <param name="begun">Its answer.</param>
    /// <param name="known">The path that the question named.</param>
    public static TurnPath Of(BeginTurn begin, TurnBegun begun, CachedPath? known)
    {
        known = begun.HistoryKnown ? known : null;
        var added = begin.Input.Skip(begun.InputAlreadyStored).Select(message => message.Content);
        // Paths are found by their session: who goes on from messages and never names it would find none.
        var version = begin.SessionId is "" ? null : begun.Path;
        return new TurnPath(known, begun.History, added, version);
    }

    /// <summary>Stored messages that go before the request's own, oldest first.</summary>
    public IReadOnlyList<MessageContent> ReadHistory() => _known?.Read() ?? _sent;

    /// <summary>The path with the answer behind it.</summary>
    /// <param name="version">What storage says it is known by.</param>
    public CachedPath With(MessageContent answer, PathVersion version) =>
        _known?.With(version, _added.Append(answer)) ?? CachedPath.Of(version, _sent.Concat(_added).Append(answer));
}
