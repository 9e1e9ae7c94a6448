using System.Collections.Immutable;
using System.Globalization;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// What storage.proto says of sessions, as a sequential program that knows nothing of rows, owners, transactions and batches. Each verb gives the next
/// state and what the caller is told.
/// </summary>
internal sealed record SessionModel(ImmutableSortedDictionary<string, SessionModel.Session> Sessions, ImmutableSortedDictionary<string, SessionModel.Message> Messages)
{
    public const string NotFound = "not found";
    public const string Refused = "refused";
    public const string Done = "done";

    public static SessionModel Empty { get; } = new(
        ImmutableSortedDictionary.Create<string, Session>(StringComparer.Ordinal), ImmutableSortedDictionary.Create<string, Message>(StringComparer.Ordinal));

    public (SessionModel, string) Create(string id) => (this with { Sessions = Sessions.Add(id, new Session(null, null, 0)) }, Done);

    public (SessionModel, string) Append(string sessionId, string id, string text)
    {
        if (!Sessions.TryGetValue(sessionId, out var session))
        {
            return (this, NotFound);
        }

        var message = new Message(sessionId, session.Head, session.LastSeq + 1, "user", text, IsOpen: false);
        return (With(sessionId, session with { Head = id, LastSeq = message.Seq }).With(id, message), Said($"{message.Seq} behind {message.Parent}"));
    }

    public (SessionModel, string) Begin(string sessionId, string id, string answerId, string text)
    {
        if (!Sessions.TryGetValue(sessionId, out var session))
        {
            return (this, NotFound);
        }

        var next = With(sessionId, session with { LastSeq = session.LastSeq + 2 })
            .With(id, new Message(sessionId, session.Head, session.LastSeq + 1, "user", text, IsOpen: false))
            .With(answerId, new Message(sessionId, id, session.LastSeq + 2, "assistant", "", IsOpen: true));
        return (next, $"history {Texts(PathTo(session.Head))}");
    }

    public (SessionModel, string) Complete(string sessionId, string answerId, string text)
    {
        if (!Sessions.TryGetValue(sessionId, out var session) || !Messages.TryGetValue(answerId, out var answer) || answer.Owner != sessionId)
        {
            return (this, NotFound);
        }

        var next = With(answerId, answer with { Text = text, IsOpen = false });
        // Of two turns the one that began later wins, in whatever order they end.
        return (session.Head is null || answer.Seq > Messages[session.Head].Seq ? next.With(sessionId, session with { Head = answerId }) : next, Done);
    }

    public (SessionModel, string) List(string sessionId)
    {
        if (!Sessions.TryGetValue(sessionId, out var session))
        {
            return (this, NotFound);
        }

        var shown = Shown(sessionId, session).Select(id => $"{Messages[id].Seq} {id} {Messages[id].Text}{(Messages[id].IsOpen ? " (open)" : "")}").ToList();
        return (this, Listed(session.Head, shown.Count, shown));
    }

    public (SessionModel, string) Transcript(string sessionId) =>
        Sessions.TryGetValue(sessionId, out var session) ? (this, $"transcript {Texts(PathTo(session.Head))}") : (this, NotFound);

    public (SessionModel, string) Switch(string sessionId, string id) =>
        !Sessions.TryGetValue(sessionId, out var session) ? (this, NotFound)
        : IsPoint(sessionId, session, id) ? (With(sessionId, session with { Head = id }), Done) : (this, Refused);

    public (SessionModel, string) Fork(string sessionId, string newId, string id) =>
        !Sessions.TryGetValue(sessionId, out var session) ? (this, NotFound)
        : IsPoint(sessionId, session, id) ? (With(newId, new Session(id, id, Messages[id].Seq)), Done) : (this, Refused);

    public (SessionModel, string) Delete(string id)
    {
        if (!Messages.TryGetValue(id, out var message))
        {
            return (this, NotFound);
        }

        var sessions = Sessions.ToImmutableSortedDictionary(
            session => session.Key,
            session => session.Value with
            {
                Head = session.Value.Head == id ? message.Parent : session.Value.Head,
                ForkedFrom = session.Value.ForkedFrom == id ? message.Parent : session.Value.ForkedFrom,
            },
            StringComparer.Ordinal);
        var messages = Messages.Remove(id).ToImmutableSortedDictionary(
            other => other.Key, other => other.Value.Parent == id ? other.Value with { Parent = message.Parent } : other.Value, StringComparer.Ordinal);
        return (new SessionModel(sessions, messages), Done);
    }

    /// <summary>Forks keep what they show.</summary>
    public (SessionModel, string) DeleteSession(string sessionId)
    {
        if (!Sessions.ContainsKey(sessionId))
        {
            return (this, NotFound);
        }

        var (sessions, messages) = (Sessions.Remove(sessionId), Messages);
        foreach (var (forkId, fork) in sessions.Where(session => session.Value.ForkedFrom is { } from && Messages[from].Owner == sessionId))
        {
            var next = fork.ForkedFrom;
            while (next is not null && messages[next].Owner == sessionId)
            {
                messages = messages.SetItem(next, messages[next] with { Owner = forkId });
                next = messages[next].Parent;
            }

            sessions = sessions.SetItem(forkId, fork with { ForkedFrom = next });
        }

        return (new SessionModel(sessions, messages.RemoveRange(messages.Where(message => message.Value.Owner == sessionId).Select(message => message.Key).ToList())), Done);
    }

    public static string Said(string place) => $"said {place}";

    public static string Listed(string? head, long total, IEnumerable<string> messages) => $"list of {total} at {head}: {string.Join(", ", messages)}";

    /// <summary>Two states with the same text behave the same from now on.</summary>
    public string Fingerprint() => string.Join(
        '\n',
        Sessions.Select(session => $"{session.Key} {session.Value}").Concat(Messages.Select(message => $"{message.Key} {message.Value}")));

    private string Texts(IEnumerable<string> path) => string.Join(", ", path.Select(id => $"{Messages[id].Role}: {Messages[id].Text}"));

    private Stack<string> PathTo(string? id)
    {
        var path = new Stack<string>();
        for (; id is not null; id = Messages[id].Parent)
        {
            path.Push(id);
        }

        return path;
    }

    private List<string> Shown(string sessionId, Session session) =>
        [.. PathTo(session.ForkedFrom).Concat(Messages.Where(message => message.Value.Owner == sessionId).Select(message => message.Key)).Distinct().OrderBy(id => Messages[id].Seq)];

    private bool IsPoint(string sessionId, Session session, string id) =>
        Messages.TryGetValue(id, out var message) && !message.IsOpen && (message.Owner == sessionId || PathTo(session.ForkedFrom).Contains(id));

    private SessionModel With(string sessionId, Session session) => this with { Sessions = Sessions.SetItem(sessionId, session) };

    private SessionModel With(string messageId, Message message) => this with { Messages = Messages.SetItem(messageId, message) };

    internal sealed record Session(string? Head, string? ForkedFrom, long LastSeq)
    {
        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Head} {ForkedFrom} {LastSeq}");
    }

    internal sealed record Message(string Owner, string? Parent, long Seq, string Role, string Text, bool IsOpen)
    {
        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Owner} {Parent} {Seq} {Role} {Text} {IsOpen}");
    }
}
