using System.Buffers.Binary;
using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using Google.Protobuf;

namespace ChatHistory.StorageService.Messages;

/// <summary>Makes and recognises versions of paths: the chain's hash at the path's end, and the epoch (<see cref="PathEpoch"/>). In the writer's transactions only.</summary>
internal static class PathVersions
{
    /// <summary>The version of the path to a message; null where its hash is not known, so that nothing would tell when the path changes.</summary>
    public static PathVersion? Of(PreparedConnection writer, string? messageId, byte[]? hash)
    {
        if (messageId is null || hash is not { Length: PrefixHash.Length })
        {
            return null;
        }

        Span<byte> version = stackalloc byte[PrefixHash.Length + sizeof(long)];
        hash.CopyTo(version);
        BinaryPrimitives.WriteInt64BigEndian(version[PrefixHash.Length..], writer.Epoch!.Value);
        return new PathVersion { EndMessageId = messageId, Version = ByteString.CopyFrom(version) };
    }

    /// <summary>True when the path to the message is what the caller knows.</summary>
    public static bool IsOf(this PathVersion? known, PreparedConnection writer, string? messageId, byte[]? hash) =>
        known is not null && known.EndMessageId == messageId && known.Equals(Of(writer, messageId, hash));

    /// <summary>True when it looks so to somebody who reads, and does not know the epoch.</summary>
    public static bool IsPerhapsOf(this PathVersion? known, string? messageId, byte[]? hash) =>
        known is not null && hash is not null && known.EndMessageId == messageId && known.Version.Span.StartsWith(hash);
}
