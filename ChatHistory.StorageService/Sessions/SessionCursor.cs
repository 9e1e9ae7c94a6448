using System.Buffers.Text;
using System.Text;
using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Sessions;

/// <summary>
/// Where a page of sessions ended: the last session's place in the order of <c>idx_sessions_user_updated</c>. On the wire it is opaque:
/// base64url of <c>1|2026-01-31 23:59:59.123|0199...</c> (version, updated_at as stored, session_id).
/// </summary>
/// <remarks>A forged cursor only moves the place where the caller's own list begins: whose list it is, the scope says.</remarks>
internal sealed record SessionCursor(string UpdatedAt, string SessionId)
{
    private const string Version = "1";

    public override string ToString() => Base64Url.EncodeToString(Encoding.UTF8.GetBytes($"{Version}|{UpdatedAt}|{SessionId}"));

    /// <summary>The cursor in <paramref name="text"/>; null for the empty one, which is the first page.</summary>
    /// <exception cref="Grpc.Core.RpcException">INVALID_ARGUMENT: it is not one of ours.</exception>
    public static SessionCursor? Parse(string text)
    {
        if (text is "")
        {
            return null;
        }

        return Base64Url.IsValid(text) && Encoding.UTF8.GetString(Base64Url.DecodeFromChars(text)).Split('|', 3) is [Version, var updatedAt, { Length: > 0 } sessionId]
            ? new SessionCursor(updatedAt, sessionId)
            : throw StorageStatus.Invalid("after", "is not a cursor of this service");
    }
}
