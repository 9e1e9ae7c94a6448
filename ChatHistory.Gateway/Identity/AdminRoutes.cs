using ChatHistory.Gateway.Errors;
using Microsoft.AspNetCore.Authorization;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// The groups that all routes under <c>/admin</c> belong to: on the admin listener only, and for whom. A route elsewhere under that path would
/// answer nobody (<see cref="AdminListener"/>).
/// </summary>
internal static class AdminRoutes
{
    /// <summary>For requests without a body: no page of another origin can send it.</summary>
    private const string Header = "X-ChatHistory-Operator";

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
    /// In personal mode refuses what a page of another origin can make its reader's browser send: "simple" requests, without a JSON content type and
    /// without a header of ours. Foreign names and origins are refused on both listeners (<see cref="WebPages"/>). With an admin key there is nothing
    /// to refuse: no browser adds that by itself.
    /// </summary>
    public static WebApplication UseOperatorGuard(this WebApplication app)
    {
        app.Use((context, next) =>
        {
            var request = context.Request;
            if (context.CameInByAdminListener() && AdminListener.IsAdminPath(request.Path) && IsPersonal(context.User)
                && !HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method) && !request.HasJsonContentType() && request.Headers[Header].Count == 0)
            {
                throw new OpenAIErrorException(new OpenAIError(StatusCodes.Status403Forbidden, ErrorTypes.Permission, "forbidden",
                    $"Without keys a request that changes something needs the header Content-Type: application/json, or {Header}: 1. It keeps web pages out."));
            }

            return next(context);
        });
        return app;
    }

    private static RouteGroupBuilder Group(IEndpointRouteBuilder routes, string path) =>
        path.StartsWith("/admin/", StringComparison.Ordinal) ? routes.MapGroup(path) : throw new ArgumentException("admin routes lie below /admin", nameof(path));

    // The listener is asked again here, so that a change of the middlewares' order opens nothing.
    private static bool CameInByAdminListener(AuthorizationHandlerContext context) => context.Resource is HttpContext http && http.CameInByAdminListener();

    private static bool IsPersonal(System.Security.Claims.ClaimsPrincipal user) => user.HasClaim(ApiKeyAuthentication.PersonalModeClaim, "true");
}
