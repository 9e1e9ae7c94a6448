using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ChatHistory.ServiceDefaults;
using Yarp.ReverseProxy.Configuration;

namespace ChatHistory.Bench.Targets;

/// <summary>YARP as a plain reverse proxy, as its first page of documentation has it. Where limits are measured also with a key, and the telemetry that all services of the product have.</summary>
internal static class YarpProxy
{
    public const string WithTelemetry = "telemetry";

    private const string Key = "bench-key-of-this-run-only";
    private static readonly byte[] s_keyHash = HashOf($"Bearer {Key}");

    public static Task<Target> StartAsync(string folder, int upstreamPort) => StartAsync(Target.Yarp, folder, upstreamPort, [], [], []);

    /// <summary>With the spans and metrics of requests and calls that the product's services have, and a key that is hashed and compared.</summary>
    /// <param name="telemetryPort">Where an OTLP receiver listens.</param>
    public static Task<Target> StartWithTelemetryAsync(string folder, int upstreamPort, int telemetryPort) => StartAsync(
        Target.YarpTelemetry, folder, upstreamPort, [WithTelemetry],
        new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://127.0.0.1:{telemetryPort}",
            ["VOLUME_DIR"] = Path.Combine(folder, "volume"),
            // As the gateway has it: YARP writes two lines for each call.
            ["Serilog__MinimumLevel__Override__Yarp"] = "Error",
        },
        new() { ["Authorization"] = $"Bearer {Key}" });

    private static async Task<Target> StartAsync(
        string name, string folder, int upstreamPort, string[] more, Dictionary<string, string> environment, Dictionary<string, string> headers)
    {
        Directory.CreateDirectory(folder);
        var port = ChildProcess.FreePort();
        string[] arguments = ["yarp", port.ToString(CultureInfo.InvariantCulture), upstreamPort.ToString(CultureInfo.InvariantCulture), .. more];
        var process = ChildProcess.StartSelf(Path.Combine(folder, "yarp.log"), arguments, environment);
        await process.WaitReadyAsync(port);
        return new Target(name, port, headers, [process]);
    }

    public static async Task<int> RunAsync(int port, int upstreamPort, bool withTelemetry)
    {
        var builder = withTelemetry ? Extensions.CreateServiceBuilder([], "yarp") : WebApplication.CreateSlimBuilder(Programs.WithoutWatching);
        if (!withTelemetry)
        {
            builder.Logging.ClearProviders();
        }

        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.Services.AddReverseProxy().LoadFromMemory(
            [new RouteConfig { RouteId = "all", ClusterId = "model", Match = new RouteMatch { Path = "{**rest}" } }],
            [
                new ClusterConfig
                {
                    ClusterId = "model",
                    Destinations = new Dictionary<string, DestinationConfig> { ["model"] = new() { Address = $"http://127.0.0.1:{upstreamPort}" } },
                },
            ]);
        await using var app = builder.Build();
        if (withTelemetry)
        {
            app.Use(RequireKeyAsync);
        }

        app.MapReverseProxy();
        await app.RunAsync();
        return 0;
    }

    private static Task RequireKeyAsync(HttpContext context, RequestDelegate next)
    {
        if (CryptographicOperations.FixedTimeEquals(HashOf(context.Request.Headers.Authorization.ToString()), s_keyHash))
        {
            return next(context);
        }

        context.Response.StatusCode = StatusCodes.Status401Unauthorized;
        return Task.CompletedTask;
    }

    private static byte[] HashOf(string header) => SHA256.HashData(Encoding.UTF8.GetBytes(header));
}
