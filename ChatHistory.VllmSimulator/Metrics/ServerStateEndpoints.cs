namespace ChatHistory.VllmSimulator.Metrics;

/// <summary>vLLM's small routes about itself. <c>/health</c> comes with the service defaults.</summary>
internal static class ServerStateEndpoints
{
    // A version that PEP 440 allows and that nobody takes for a release.
    private const string Version = """{"version":"0.0.0+chathistory.simulator"}""";

    public static void MapServerState(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/ping", () => TypedResults.Ok());
        routes.MapGet("/version", () => TypedResults.Text(Version, "application/json"));
        routes.MapGet("/load", (SimulatorMetrics metrics) => TypedResults.Text($$"""{"server_load":{{metrics.Running}}}""", "application/json"));
        routes.MapGet("/metrics", (SimulatorMetrics metrics) => TypedResults.Text(metrics.ToPrometheusText(), "text/plain; version=0.0.4; charset=utf-8"));
    }
}
