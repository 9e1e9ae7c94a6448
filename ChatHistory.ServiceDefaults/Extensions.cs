using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ChatHistory.ServiceDefaults;

/// <summary>What every ChatHistory service has: telemetry, logs, service discovery and health endpoints.</summary>
public static class Extensions
{
    private const string AliveTag = "alive";

    /// <summary>A web application builder with the service defaults in it.</summary>
    /// <param name="args">The command line; its settings come last and so win.</param>
    /// <param name="serviceName">The service's name in telemetry and in its log file's name, e.g. <c>gateway</c>.</param>
    /// <param name="isIntended">True for an exception that is thrown on purpose, and is no news to anybody: what carries it is not logged.</param>
    /// <remarks>
    /// appsettings.json is found beside the binary, from whatever folder the service is started. It is not watched for changes: the watcher
    /// would see every write to a database or log below the content root, and machines run out of inotify instances.
    /// </remarks>
    public static WebApplicationBuilder CreateServiceBuilder(string[] args, string serviceName, Func<Exception, bool>? isIntended = null) =>
        WebApplication.CreateBuilder(["--contentRoot", AppContext.BaseDirectory, "--hostBuilder:reloadConfigOnChange=false", .. args])
            .AddServiceDefaults(serviceName, isIntended ?? (_ => false));

    /// <summary>Adds telemetry, logs, service discovery and health checks.</summary>
    /// <param name="builder">The service's builder.</param>
    /// <param name="serviceName">The service's name in telemetry and in its log file's name, e.g. <c>gateway</c>.</param>
    /// <remarks>
    /// There is deliberately no resilience handler for all HTTP clients here: the usual default (10 s per attempt, repeats POST)
    /// would cut long completions and run them twice. Each client configures its own.
    /// </remarks>
    private static WebApplicationBuilder AddServiceDefaults(this WebApplicationBuilder builder, string serviceName, Func<Exception, bool> isIntended)
    {
        builder.AddFileAndOtlpLogging(serviceName, isIntended);
        builder.AddTelemetry(serviceName);

        builder.Services.AddServiceDiscovery();
        // Calls are told by spans and metrics. The factory's own loggers would tell them once more, at a level that nobody sees, and still cost each call a scope and its text.
        builder.Services.ConfigureHttpClientDefaults(http => http.RemoveAllLoggers().AddServiceDiscovery());

        builder.Services.AddHealthChecks().AddCheck("self", () => HealthCheckResult.Healthy(), [AliveTag]);

        // Server: Kestrel tells nobody anything; a request's limits are each service's own.
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        return builder;
    }

    /// <summary>
    /// Maps <c>/health</c> (ready to serve) and <c>/alive</c> (the process responds) in every environment: containers are judged by them.
    /// They answer one word and no details.
    /// </summary>
    public static WebApplication MapDefaultEndpoints(this WebApplication app)
    {
        app.MapHealthChecks("/health");
        app.MapHealthChecks("/alive", new HealthCheckOptions { Predicate = check => check.Tags.Contains(AliveTag) });
        return app;
    }
}
