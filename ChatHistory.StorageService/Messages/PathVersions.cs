using System.Buffers.Binary;
using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using Google.Protobuf;

namespace ChatHistory.StorageService.Messages;

/// <summary>Makes and recognises versions of paths: the chain's hash at the path's end, and the epoch (<see cref="PathEpoch"/>).</summary>
/// <remarks>What they say is certain in a transaction of the writer only; elsewhere the epoch may be over, and nobody has noticed yet.</remarks>
internal static class PathVersions
{
    /// <summary>The version of the path to a message; null where its hash is not known, so that nothing would tell when the path changes.</summary>
    public static PathVersion? Of(PathEpoch epoch, string? messageId, byte[]? hash)
    {
        if (messageId is null || hash is not { Length: PrefixHash.Length })
        {
            return null;
        }

        Span<byte> version = stackalloc byte[PrefixHash.Length + sizeof(long)];
        hash.CopyTo(version);
        BinaryPrimitives.WriteInt64BigEndian(version[PrefixHash.Length..], epoch.Value);
        return new PathVersion { EndMessageId = messageId, Version = ByteString.CopyFrom(version) };
    }

    /// <summary>True when the path to the message is what the caller knows.</summary>
    public static bool IsOf(this PathVersion? known, PathEpoch epoch, string? messageId, byte[]? hash) =>
        known is not null && known.EndMessageId == messageId && known.Equals(Of(epoch, messageId, hash));

    /// <summary>True when the epoch is still the version's. Where the path's end is, too, it most likely is what the caller knows; <see cref="IsOf"/>, in the transaction, makes sure.</summary>
    public static bool IsOfEpoch(this PathVersion? known, PathEpoch epoch) =>
        known is { Version.Length: PrefixHash.Length + sizeof(long) } && BinaryPrimitives.ReadInt64BigEndian(known.Version.Span[PrefixHash.Length..]) == epoch.Value;
}
