using System.Buffers.Text;
using System.Text;
using System.Text.RegularExpressions;

namespace ChatHistory.Tests.Promises.Attacks;

/// <summary>To an id the one that nobody has, in the same form: what an answer to the one says, it must say to the other.</summary>
internal static partial class Twin
{
    public static string Of(string id)
    {
        // The cursor of a list of sessions: base64url of 1|time|session.
        if (Base64Url.IsValid(id) && id.Length > 40 && Encoding.UTF8.GetString(Base64Url.DecodeFromChars(id)) is var text && text.StartsWith("1|", StringComparison.Ordinal))
        {
            return Base64Url.EncodeToString(Encoding.UTF8.GetBytes(Of(text[2..]) is var rest ? "1|" + rest : ""));
        }

        var changed = Uuid().Replace(id, _ => Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString());
        changed = changed != id ? changed : Hex().Replace(id, match => $"{Guid.NewGuid():N}{Guid.NewGuid():N}"[..match.Length]);
        return changed != id ? changed : string.Concat(id.Select(character => char.IsAsciiLetterOrDigit(character) ? (char)('a' + Random.Shared.Next(26)) : character));
    }

    [GeneratedRegex("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")]
    private static partial Regex Uuid();

    [GeneratedRegex("[0-9a-f]{12,64}")]
    private static partial Regex Hex();
}
