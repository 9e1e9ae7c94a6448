using ChatHistory.Storage.V1;
using Google.Protobuf;

namespace ChatHistory.Gateway.Paths;

/// <summary>The path of one turn: the history that it goes on from, and what it will be once the answer is behind it.</summary>
internal sealed class TurnPath
{
    private readonly IEnumerable<MessageContent> _added;
    private readonly CachedPath? _known;

    private TurnPath(IReadOnlyList<MessageContent> history, PathVersion? version, IEnumerable<MessageContent> added, CachedPath? known)
    {
        History = history;
        Version = version;
        _added = added;
        _known = known;
    }

    /// <summary>Stored messages that go before the request's own, oldest first.</summary>
    public IReadOnlyList<MessageContent> History { get; }

    /// <summary>The path up to the answer; null where it is not known well enough to be kept.</summary>
    public PathVersion? Version { get; }

    /// <param name="begin">What was asked of storage.</param>
    /// <param name="begun">Its answer.</param>
    /// <param name="known">The path that the question named.</param>
    public static TurnPath Of(BeginTurn begin, TurnBegun begun, CachedPath? known)
    {
        known = begun.HistoryKnown ? known : null;
        var added = begin.Input.Skip(begun.InputAlreadyStored).Select(message => message.Content);
        return new TurnPath(known?.Read() ?? begun.History, begun.Path, added, known);
    }

    /// <summary>The path with the answer behind it.</summary>
    /// <param name="version">What storage says it is known by.</param>
    public CachedPath With(MessageContent answer, PathVersion version) =>
        CachedPath.Of(version, _known?.Messages ?? new TurnBegun { History = { History } }.ToByteArray(), _added.Append(answer));
}
