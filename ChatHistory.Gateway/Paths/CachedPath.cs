using ChatHistory.Storage.V1;
using Google.Protobuf;

namespace ChatHistory.Gateway.Paths;

/// <summary>
/// The messages of a path in the encoding in which storage sends them: a third of what they take as objects, and what is read from it is by nature what storage's answer
/// would have been.
/// </summary>
/// <remarks>
/// The encoding is that of <see cref="TurnBegun"/> with nothing but its history, in parts that are read one after the other: a turn adds one, and does not copy what was
/// said before. Copies of whole paths were most of what the garbage collector had to keep, and move (decision 36).
/// </remarks>
internal sealed class CachedPath
{
    // The entry, its keys, and what the cache holds beside it; an array of its own.
    private const int Around = 768;
    private const int AroundPart = 48;

    // So many turns later they are put together, so that the list stays short.
    private const int MaxParts = 16;

    private readonly ReadOnlyMemory<byte>[] _parts;

    private CachedPath(PathVersion version, ReadOnlyMemory<byte>[] parts)
    {
        Version = version;
        _parts = parts;
        MessageBytes = parts.Sum(part => (long)part.Length);
    }

    /// <summary>What storage knows the path by.</summary>
    public PathVersion Version { get; }

    /// <summary>The length of its messages, encoded.</summary>
    public long MessageBytes { get; }

    /// <summary>What it takes in memory, in bytes.</summary>
    public long Bytes => Around + (AroundPart * _parts.Length) + MessageBytes;

    /// <param name="version">What storage knows the whole path by.</param>
    /// <param name="messages">All of its messages, oldest first.</param>
    public static CachedPath Of(PathVersion version, IEnumerable<MessageContent> messages) => new(version, [Encode(messages)]);

    /// <summary>This path and what came behind it. This one stays as it is.</summary>
    /// <param name="version">What storage knows the whole path by.</param>
    /// <param name="more">What came behind it.</param>
    public CachedPath With(PathVersion version, IEnumerable<MessageContent> more)
    {
        ReadOnlyMemory<byte>[] parts = [.. _parts, Encode(more)];
        return new CachedPath(version, parts.Length <= MaxParts ? parts : [Joined(parts)]);
    }

    /// <summary>The messages, oldest first.</summary>
    public IReadOnlyList<MessageContent> Read()
    {
        var path = new TurnBegun();
        foreach (var part in _parts)
        {
            path.MergeFrom(part.Span);
        }

        return path.History;
    }

    private static byte[] Encode(IEnumerable<MessageContent> messages)
    {
        var path = new TurnBegun();
        foreach (var message in messages)
        {
            // As it is stored: without its digest.
            var stored = message.Clone();
            stored.Digest = ByteString.Empty;
            path.History.Add(stored);
        }

        return path.ToByteArray();
    }

    private static byte[] Joined(ReadOnlyMemory<byte>[] parts)
    {
        var all = new byte[parts.Sum(part => part.Length)];
        var at = 0;
        foreach (var part in parts)
        {
            part.CopyTo(all.AsMemory(at));
            at += part.Length;
        }

        return all;
    }
}
