using System.Net;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// Tells apart, in personal mode, the people on this machine from the pages that their browsers show. Personal mode trusts everybody who reaches the
/// port, and a page of any site makes its visitor's browser reach it: by a name of the site's own that suddenly means 127.0.0.1 (DNS rebinding, which
/// also lets it read the answer), or by a request to another origin, which it may send but not read.
/// </summary>
/// <remarks>
/// <code>
/// Host: 127.0.0.1:8080, [::1], localhost, gateway, host.docker.internal, box.local     names that no site on the web can have
/// Host: chat.example.com                                                                refused, unless it is in Identity:AllowedHosts
/// Origin: http://localhost:3000, app://ui, chrome-extension://…                         a program on this machine
/// Origin: https://example.com, null                                                     a page of the web
/// </code>
/// </remarks>
internal static class WebPages
{
    private static readonly string[] s_privateSuffixes = [".localhost", ".internal", ".local", ".lan", ".home.arpa"];

    /// <summary>What is wrong with the request as one that needs no key; null when nothing is.</summary>
    public static OpenAIError? Refuse(HttpRequest request, IdentityOptions identity)
    {
        if (request.Host.HasValue && !IsOurs(request.Host.Host, identity))
        {
            return new OpenAIError(StatusCodes.Status403Forbidden, ErrorTypes.Permission, "unknown_host",
                $"This gateway asks for no keys, so it is reached by an address of this machine only, not as '{request.Host.Host}': a page on the web could give itself such a name. "
                + "Use 127.0.0.1 or localhost, add the name to Identity:AllowedHosts, or set Identity:AdminKey and use API keys.", "Host");
        }

        var origin = request.Headers.Origin.ToString();
        return origin.Length == 0 || IsOurOrigin(origin, identity)
            ? null
            : new OpenAIError(StatusCodes.Status403Forbidden, ErrorTypes.Permission, "foreign_origin",
                $"A page of '{origin}' sent this request, and this gateway asks for no keys. Add its host to Identity:AllowedHosts if it may, or set Identity:AdminKey and use API keys.", "Origin");
    }

    private static bool IsOurOrigin(string origin, IdentityOptions identity) =>
        origin != "null"
        && Uri.TryCreate(origin, UriKind.Absolute, out var uri)
        && (uri.Scheme is not ("http" or "https") || IsOurs(uri.Host, identity));

    private static bool IsOurs(string host, IdentityOptions identity) =>
        IPAddress.TryParse(host.Trim('[', ']'), out _)
        || !host.Contains('.', StringComparison.Ordinal)
        || s_privateSuffixes.Any(suffix => host.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
        || identity.AllowedHosts.Contains(host, StringComparer.OrdinalIgnoreCase);
}
