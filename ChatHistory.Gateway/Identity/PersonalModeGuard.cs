using System.Net;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// In personal mode whoever reaches the port reads everything, and so does every page that is open in a browser on this machine, unless the browser is
/// given a reason not to let it. Two ways are closed here:
/// <list type="bullet">
/// <item>DNS rebinding: evil.example resolves to 127.0.0.1 after its page has loaded, and the page then asks "its own server". Such a request still
/// says <c>Host: evil.example</c>.</item>
/// <item>Requests across origins, which a browser sends although it does not show the page the answer: they say <c>Origin: https://evil.example</c>,
/// or <c>Origin: null</c> from a frame or a file.</item>
/// </list>
/// With an API key neither is possible: a page does not know the key.
/// </summary>
internal static class PersonalModeGuard
{
    private const int MaxShown = 100;

    // Names under which a container reaches its host. Nobody can own them: ICANN has set .internal apart.
    private static readonly string[] s_ofThisMachine = ["localhost", "host.docker.internal", "host.containers.internal"];

    /// <summary>Why the request is not one of this machine's; null when it is.</summary>
    public static OpenAIError? RefusalOf(HttpRequest request, IdentityOptions options)
    {
        if (!IsAllowed(request.Host.Host, options))
        {
            return Refusal("host_not_allowed", $"The header Host is '{Shown(request.Host.Value)}'", "Host");
        }

        foreach (var origin in request.Headers.Origin)
        {
            if (!Uri.TryCreate(origin, UriKind.Absolute, out var uri) || !IsAllowed(uri.Host, options))
            {
                return Refusal("origin_not_allowed", $"The request comes from a page of '{Shown(origin)}' (header Origin)", "Origin");
            }
        }

        return null;
    }

    private static bool IsAllowed(string host, IdentityOptions options)
    {
        var name = host.TrimEnd('.');
        if (IPAddress.TryParse(name.Trim('[', ']'), out var address))
        {
            // An address cannot be made to point elsewhere; where others may reach the gateway at all, they may do so by its address.
            return IPAddress.IsLoopback(address) || options.AllowPersonalModeBeyondLoopback;
        }

        return s_ofThisMachine.Contains(name, StringComparer.OrdinalIgnoreCase) || options.AllowedHosts.Contains(name, StringComparer.OrdinalIgnoreCase);
    }

    private static OpenAIError Refusal(string code, string what, string param) =>
        new(StatusCodes.Status403Forbidden, ErrorTypes.Permission, code,
            $"{what}. In personal mode this gateway answers only under names of this machine (localhost, 127.0.0.1), so that no page on the web can read the "
            + "history through a browser. Use http://localhost, or add the name to Identity:AllowedHosts (Identity__AllowedHosts__0=...), or set up API keys.", param);

    private static string Shown(string? text) => text is { Length: > MaxShown } ? text[..MaxShown] + "..." : text ?? "";
}
