using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using ChatHistory.Gateway.RateLimits;

namespace ChatHistory.Gateway.PassThrough;

/// <summary>
/// Finds out what an answer took that passes unread. Its usage stands at its end (<c>"usage":{"prompt_tokens":5,"total_tokens":12}</c>), so the last
/// bytes are kept. A stream has it only when its client asked for it; then each event counts as a token, which is what vLLM sends.
/// </summary>
internal sealed partial class UsageTail
{
    private const int Kept = 2048;

    private readonly byte[] _last = new byte[Kept];
    private int _length;
    private long _events;
    private long _bytes;

    public void Observe(ReadOnlySpan<byte> bytes)
    {
        _bytes += bytes.Length;
        _events += bytes.Count("data:"u8);
        if (bytes.Length >= Kept)
        {
            bytes[^Kept..].CopyTo(_last);
            _length = Kept;
            return;
        }

        var stay = Math.Min(_length, Kept - bytes.Length);
        _last.AsSpan(_length - stay, stay).CopyTo(_last);
        bytes.CopyTo(_last.AsSpan(stay));
        _length = stay + bytes.Length;
    }

    /// <summary>All tokens, prompt included. Without a word on them: of a whole answer what was estimated of the prompt.</summary>
    public long Tokens(TokenEstimate estimate) =>
        TotalTokens().Matches(Encoding.UTF8.GetString(_last, 0, _length)) is [.., var match] && long.TryParse(match.Groups[1].Value, CultureInfo.InvariantCulture, out var total)
            ? total
            : _bytes == 0 ? 0 : estimate.Prompt + _events;

    [GeneratedRegex("\"total_tokens\"\\s*:\\s*(\\d+)")]
    private static partial Regex TotalTokens();
}
