using System.Text.RegularExpressions;

namespace ChatHistory.Gateway.Upstream;

/// <summary>
/// What of a model server's error text a client may read. It explains the client's mistake (a context that is too long, a model that is not there), and
/// may tell more by accident: a heap address in an image library's message was half of an exploit (CVE-2026-22778).
/// </summary>
/// <remarks>
/// <code>
/// cannot identify image file &lt;_io.BytesIO object at 0x7f2c4410&gt;         … &lt;_io.BytesIO object at …&gt;
/// Cannot connect to host 10.0.0.7:8000                                  Cannot connect to host …
/// File "/usr/local/lib/python3.12/site-packages/vllm/x.py", line 3      File "…", line 3
/// Invalid token Bearer hf_abcdefghijklmnop                              Invalid token …
/// </code>
/// </remarks>
internal static partial class UpstreamText
{
    private const int MaxLength = 2000;
    private const int MaxNameLength = 200;
    public const string LeftOut = "…";

    public static string? Message(string? text)
    {
        if (text is null)
        {
            return null;
        }

        var told = Telling().Replace(text.Length > MaxLength ? text[..MaxLength] + "..." : text, LeftOut);
        return told.Any(char.IsControl) ? string.Concat(told.Select(character => char.IsControl(character) && character != '\n' ? ' ' : character)) : told;
    }

    /// <summary>A parameter's or an error's name; null for what is none.</summary>
    public static string? Name(string? text) => text is { Length: > 0 and <= MaxNameLength } && Telling().Replace(text, LeftOut) == text && !text.Any(char.IsControl) ? text : null;

    // In this order: keys, URLs, addresses of hosts, addresses in memory, absolute paths of two steps and more that are no routes.
    [GeneratedRegex(
        """
        (?:Bearer\s+\S+)|(?:\b(?:sk|hf|chk|ghp|xox[abp])[-_][A-Za-z0-9_-]{8,})|(?:\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s"'`<>]+)|(?:\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]+)?\b)|(?:\[[0-9a-fA-F:]*::?[0-9a-fA-F:]*\](?::[0-9]+)?)|(?:\b0x[0-9a-fA-F]{5,})|(?<![\w./-])(?:~|/)(?!v1/|v2/)[\w.+@-]*/[\w.+@/-]+
        """,
        RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Telling();
}
