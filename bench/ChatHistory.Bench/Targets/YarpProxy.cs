using System.Globalization;
using Yarp.ReverseProxy.Configuration;

namespace ChatHistory.Bench.Targets;

/// <summary>YARP as a plain reverse proxy, as its first page of documentation has it.</summary>
internal static class YarpProxy
{
    public static async Task<Target> StartAsync(string folder, int upstreamPort)
    {
        var port = ChildProcess.FreePort();
        var process = ChildProcess.StartSelf(
            Path.Combine(folder, "yarp.log"), ["yarp", port.ToString(CultureInfo.InvariantCulture), upstreamPort.ToString(CultureInfo.InvariantCulture)]);
        await process.WaitReadyAsync(port);
        return new Target(Target.Yarp, port, new Dictionary<string, string>(), [process]);
    }

    public static async Task<int> RunAsync(int port, int upstreamPort)
    {
        var builder = WebApplication.CreateSlimBuilder(Programs.WithoutWatching);
        builder.Logging.ClearProviders();
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
        app.MapReverseProxy();
        await app.RunAsync();
        return 0;
    }
}
