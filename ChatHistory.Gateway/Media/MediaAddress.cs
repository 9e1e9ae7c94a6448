using System.Text.RegularExpressions;

namespace ChatHistory.Gateway.Media;

/// <summary>
/// Reads an address that a request wants fetched, so narrowly that no two programs can read it differently: the gateway judges it, but the model
/// server's libraries fetch it, and where they disagreed about the host, strangers reached internal servers (CVE-2026-24779: a backslash).
/// </summary>
/// <remarks>
/// <code>
/// data:image/png;base64,AQID             content, nothing is fetched
/// https://images.example.org/a.png?b=c   host images.example.org
/// http://images.example.org:8080/a.png   host images.example.org:8080
/// </code>
/// Everything else is refused, whatever it may mean: other schemes, user names, backslashes, white space, escapes in the host, characters beyond ASCII,
/// IPv6, a host that is not followed by a slash. IP addresses pass only as they stand in <see cref="MediaOptions.AllowedHosts"/>: <c>2130706433</c> and
/// <c>0x7f.1</c> are texts like any other.
/// </remarks>
internal static partial class MediaAddress
{
    private const string Data = "data:";

    /// <summary>True for content that is in the address itself.</summary>
    public static bool IsContent(string address) => address.StartsWith(Data, StringComparison.OrdinalIgnoreCase);

    /// <summary>The host, with its port where that is not the scheme's own, in lower case; null for what is no plain http(s) address.</summary>
    public static string? HostOf(string address)
    {
        var match = Plain().Match(address);
        if (!match.Success)
        {
            return null;
        }

        var host = match.Groups["host"].Value.ToLowerInvariant();
        var port = match.Groups["port"].Value;
        var own = match.Groups["tls"].Length > 0 ? "443" : "80";
        return port.Length == 0 || port == own ? host : $"{host}:{port}";
    }

    /// <summary>True when the text can stand in <see cref="MediaOptions.AllowedHosts"/>.</summary>
    public static bool IsHost(string text) => HostOf($"http://{text}/") == text || HostOf($"https://{text}/") == text;

    // [!-[\]-~] is printable ASCII without space and backslash. \z, because $ would let a line feed follow.
    [GeneratedRegex(@"\A[Hh][Tt][Tt][Pp](?<tls>[Ss]?)://(?<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?)(?::(?<port>[1-9][0-9]{0,4}))?(?:/[!-\[\]-~]*)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Plain();
}
