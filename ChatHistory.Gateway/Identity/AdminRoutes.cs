using System.Net;
using ChatHistory.Gateway.Errors;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// The groups that all routes under <c>/admin</c> belong to: on the admin listener only, and for whom. A route elsewhere under that path would
/// answer nobody (<see cref="AdminListener"/>).
/// </summary>
internal static class AdminRoutes
{
    /// <summary>Routes about who may use the gateway: the admin role, in every mode.</summary>
    /// <param name="path">Below /admin, e.g. <c>/admin/keys</c>.</param>
    public static RouteGroupBuilder MapAdminGroup(this IEndpointRouteBuilder routes, string path) =>
        Group(routes, path).RequireAuthorization(policy => policy.RequireAssertion(CameInByAdminListener).RequireRole(ApiKeyAuthentication.AdminRole));

    /// <summary>
    /// Routes of whoever runs the machine, such as backups: the admin role, and in personal mode everybody on this machine, because there is no
    /// key to ask for. Then a web page must not be able to use its reader's browser for it (<see cref="UseOperatorGuard"/>).
    /// </summary>
    /// <param name="path">Below /admin, e.g. <c>/admin/backups</c>.</param>
    public static RouteGroupBuilder MapOperatorGroup(this IEndpointRouteBuilder routes, string path) =>
        Group(routes, path)
            .RequireAuthorization(policy => policy.RequireAssertion(CameInByAdminListener).RequireAssertion(context =>
                context.User.IsInRole(ApiKeyAuthentication.AdminRole) || IsPersonal(context.User)));

    /// <summary>
    /// Refuses what a web page makes a browser send in personal mode. A page of another origin can send only "simple" requests: no JSON content
    /// type, no header of ours. One whose name was pointed at 127.0.0.1 later (DNS rebinding) is of the same origin, but its Host is that name.
    /// With an admin key there is nothing to refuse: no browser adds that by itself.
    /// </summary>
    public static WebApplication UseOperatorGuard(this WebApplication app)
    {
        var hosts = app.Services.GetRequiredService<IOptions<IdentityOptions>>().Value.AdminHosts;
        app.Use((context, next) =>
        {
            if (context.CameInByAdminListener() && AdminListener.IsAdminPath(context.Request.Path) && IsPersonal(context.User))
            {
                Guard(context.Request, hosts);
            }

            return next(context);
        });
        return app;
    }

    private static void Guard(HttpRequest request, string[] hosts)
    {
        if (!IsLoopback(request.Host.Host) && !hosts.Contains(request.Host.Host, StringComparer.OrdinalIgnoreCase))
        {
            throw Refused(
                $"The request names the host '{request.Host.Host}'. Without keys only this machine may do this: use http://127.0.0.1, add the name to Identity:AdminHosts, or set Identity:AdminKey.");
        }

        // Browsers send it with every POST; curl and HttpClient never do.
        if (request.Headers.Origin is [{ Length: > 0 } origin] && !(Uri.TryCreate(origin, UriKind.Absolute, out var from) && from.Authority == request.Host.Value))
        {
            throw Refused($"The request comes from a web page of {origin}. Without keys only programs on this machine may do this; set Identity:AdminKey to use a page.");
        }

        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method) && !request.HasJsonContentType() && request.Headers[Header].Count == 0)
        {
            throw Refused($"Without keys a request that changes something needs the header Content-Type: application/json, or {Header}: 1. It keeps web pages out.");
        }
    }

    /// <summary>For requests without a body: no page of another origin can send it.</summary>
    private const string Header = "X-ChatHistory-Operator";

    private static RouteGroupBuilder Group(IEndpointRouteBuilder routes, string path) =>
        path.StartsWith("/admin/", StringComparison.Ordinal) ? routes.MapGroup(path) : throw new ArgumentException("admin routes lie below /admin", nameof(path));

    // The listener is asked again here, so that a change of the middlewares' order opens nothing.
    private static bool CameInByAdminListener(AuthorizationHandlerContext context) => context.Resource is HttpContext http && http.CameInByAdminListener();

    private static bool IsPersonal(System.Security.Claims.ClaimsPrincipal user) => user.HasClaim(ApiKeyAuthentication.PersonalModeClaim, "true");

    private static bool IsLoopback(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    private static OpenAIErrorException Refused(string message) => new(new OpenAIError(StatusCodes.Status403Forbidden, ErrorTypes.Permission, "forbidden", message));
}
