using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace ChatHistory.Tests.Processes;

/// <summary>A web server of a test's own, in this process: silent, and without settings.</summary>
internal static class LoopbackServer
{
    /// <param name="address">Where it listens; by default on a free port.</param>
    public static WebApplicationBuilder NewBuilder(string address = "http://127.0.0.1:0")
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        // Nothing from the test folder's appsettings.json: it is one of the services' own, and names a port.
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection();
        builder.WebHost.UseUrls(address);
        return builder;
    }

    /// <summary>Ends it without waiting for requests that are under way.</summary>
    public static async ValueTask EndAsync(this WebApplication app)
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await app.StopAsync(now.Token);
        await app.DisposeAsync();
    }
}
