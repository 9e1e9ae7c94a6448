using System.Security.Cryptography;
using System.Text;

namespace ChatHistory.StorageService.Messages;

/// <summary>
/// The hash chain over a path: <c>hash(message) = SHA-256(hash(parent) || digest(message))</c>; a first message's parent is the
/// SHA-256 of its owner's UTF-8. Two equal hashes mean two equal transcripts of one owner, found without comparing them.
/// </summary>
internal static class PrefixHash
{
    public const int Length = SHA256.HashSizeInBytes;

    /// <summary>The hash before a session's first message.</summary>
    public static byte[] OfOwner(string userId) => SHA256.HashData(Encoding.UTF8.GetBytes(userId));

    /// <summary>The hash after a message; null when its digest or its parent's hash is not known (rows of other tools).</summary>
    public static byte[]? After(byte[]? parent, ReadOnlySpan<byte> digest)
    {
        if (parent is not { Length: Length } || digest.Length != Length)
        {
            return null;
        }

        Span<byte> both = stackalloc byte[2 * Length];
        parent.CopyTo(both);
        digest.CopyTo(both[Length..]);
        return SHA256.HashData(both);
    }
}
