using ChatHistory.Storage.V1;
using Google.Protobuf;

namespace ChatHistory.Gateway.Paths;

/// <summary>
/// The messages of a path in the encoding in which storage sends them: a third of what they take as objects, and what is read from it is by nature what storage's answer
/// would have been.
/// </summary>
/// <remarks>The encoding is that of <see cref="TurnBegun"/> with nothing but its history. Two of them, one behind the other, are that of both histories.</remarks>
/// <param name="Version">What storage knows the path by.</param>
/// <param name="Messages">The encoded messages.</param>
internal sealed record CachedPath(PathVersion Version, ReadOnlyMemory<byte> Messages)
{
    // The entry, its keys, and what the cache holds beside it.
    private const int Around = 768;

    /// <summary>What it takes in memory, in bytes.</summary>
    public long Bytes => Around + Messages.Length;

    /// <param name="version">What storage knows the whole path by.</param>
    /// <param name="before">The beginning of the path, encoded.</param>
    /// <param name="more">What comes behind it.</param>
    public static CachedPath Of(PathVersion version, ReadOnlyMemory<byte> before, IEnumerable<MessageContent> more)
    {
        var added = new TurnBegun();
        foreach (var message in more)
        {
            // As it is stored: without its digest.
            var stored = message.Clone();
            stored.Digest = ByteString.Empty;
            added.History.Add(stored);
        }

        var messages = new byte[before.Length + added.CalculateSize()];
        before.CopyTo(messages);
        added.WriteTo(messages.AsSpan(before.Length));
        return new CachedPath(version, messages);
    }

    /// <summary>The messages, oldest first.</summary>
    public IReadOnlyList<MessageContent> Read() => TurnBegun.Parser.ParseFrom(Messages.Span).History;
}
