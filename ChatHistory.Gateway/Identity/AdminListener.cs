using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// The gateway's second listener, <c>Kestrel:Endpoints:admin</c>: keys and backups are managed there and nowhere else, so that whatever publishes
/// the API does not publish them. By default it is on loopback (<see cref="IdentityOptionsValidator"/>).
/// </summary>
/// <remarks>
/// Where a request came in is a fact of its connection. The Host header would be the client's word for it, and a port is no name: tests listen
/// on port 0, containers map theirs.
/// </remarks>
internal static class AdminListener
{
    /// <summary>The endpoint's name in the configuration.</summary>
    public const string Name = "admin";

    private static readonly PathString s_admin = "/admin";
    private static readonly PathString[] s_health = ["/health", "/alive"];

    /// <summary>Marks each connection of the listener. The configuration with the endpoints is loaded before.</summary>
    public static void MarkAdminConnections(this KestrelServerOptions kestrel) =>
        kestrel.ConfigurationLoader?.Endpoint(Name, endpoint => endpoint.ListenOptions.Use(next => connection =>
        {
            connection.Features.Set(AdminConnection.Instance);
            return next(connection);
        }));

    /// <summary>True when the request's connection was accepted by the admin listener.</summary>
    public static bool CameInByAdminListener(this HttpContext context) => context.Features.Get<AdminConnection>() is not null;

    public static bool IsAdminPath(PathString path) => path.StartsWithSegments(s_admin);

    /// <summary>
    /// Each listener serves its own: /admin and health here, everything else there. What belongs to the other one is the 404 of a path that does
    /// not exist.
    /// </summary>
    public static WebApplication UseAdminListener(this WebApplication app)
    {
        app.Use((context, next) =>
        {
            var path = context.Request.Path;
            var served = context.CameInByAdminListener() ? IsAdminPath(path) || s_health.Any(health => path.Equals(health)) : !IsAdminPath(path);
            if (served)
            {
                return next(context);
            }

            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
        return app;
    }

    private sealed class AdminConnection
    {
        public static AdminConnection Instance { get; } = new();
    }
}
