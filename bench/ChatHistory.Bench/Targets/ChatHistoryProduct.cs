using System.Net.Http.Headers;
using System.Text.Json;

namespace ChatHistory.Bench.Targets;

/// <summary>The product: gateway and storage service as <c>run.sh --direct</c> starts them, with keys and telemetry on, on a fresh volume.</summary>
internal static class ChatHistoryProduct
{
    private const string AdminKey = "bench-admin-key-of-this-run-only";

    public static string Database(string folder) => Path.Combine(folder, "volume/db/chat.db");

    /// <param name="folder">On a real disk: every turn is committed there twice.</param>
    /// <param name="telemetryPort">Where an OTLP receiver listens.</param>
    public static async Task<Target> StartAsync(string repository, string folder, int upstreamPort, int telemetryPort)
    {
        foreach (var part in (string[])["db", "logs", "models"])
        {
            Directory.CreateDirectory(Path.Combine(folder, "volume", part));
        }

        int gatewayPort = ChildProcess.FreePort(), grpcPort = ChildProcess.FreePort(), healthPort = ChildProcess.FreePort();
        var storage = Start(repository, folder, "StorageService", telemetryPort, new()
        {
            ["Kestrel__Endpoints__grpc__Url"] = $"http://127.0.0.1:{grpcPort}",
            ["Kestrel__Endpoints__http__Url"] = $"http://127.0.0.1:{healthPort}",
        });
        await storage.WaitReadyAsync(healthPort, "/health");
        var (gateway, headers) = await StartGatewayAsync(repository, folder, gatewayPort, grpcPort, healthPort, upstreamPort, telemetryPort);
        return new Target(Target.Product, gatewayPort, headers, [storage, gateway]);
    }

    /// <summary>The gateway in front of a <see cref="StorageStandIn"/>: what no storage process behind this contract could undercut.</summary>
    /// <param name="folder">Of its own.</param>
    /// <param name="keepsLog">Whether the stand-in has what it is told on the disk before it answers. If not, its processor time is not counted either.</param>
    public static async Task<Target> StartGatewayAsync(string repository, string folder, int upstreamPort, int telemetryPort, bool keepsLog)
    {
        Directory.CreateDirectory(Path.Combine(folder, "volume"));
        int gatewayPort = ChildProcess.FreePort(), grpcPort = ChildProcess.FreePort(), httpPort = ChildProcess.FreePort();
        var storage = await StorageStandIn.StartAsync(folder, grpcPort, httpPort, keepsLog ? Path.Combine(folder, "commands") : null);
        var (gateway, headers) = await StartGatewayAsync(repository, folder, gatewayPort, grpcPort, httpPort, upstreamPort, telemetryPort);
        return new Target(keepsLog ? Target.LogOnly : Target.GatewayAlone, gatewayPort, headers, [storage, gateway]) { Counted = keepsLog ? [storage, gateway] : [gateway] };
    }

    private static async Task<(ChildProcess Gateway, Dictionary<string, string> Headers)> StartGatewayAsync(
        string repository, string folder, int port, int grpcPort, int httpPort, int upstreamPort, int telemetryPort)
    {
        var adminPort = ChildProcess.FreePort();
        var gateway = Start(repository, folder, "Gateway", telemetryPort, new()
        {
            ["Kestrel__Endpoints__http__Url"] = $"http://127.0.0.1:{port}",
            ["Kestrel__Endpoints__admin__Url"] = $"http://127.0.0.1:{adminPort}",
            ["services__storage__grpc__0"] = $"http://127.0.0.1:{grpcPort}",
            ["services__storage__http__0"] = $"http://127.0.0.1:{httpPort}",
            ["services__vllm__http__0"] = $"http://127.0.0.1:{upstreamPort}",
            ["ConnectionStrings__vllm"] = $"Endpoint=http://127.0.0.1:{upstreamPort}/v1;Key=;Model=bench-instant",
            ["Identity__AdminKey"] = AdminKey,
        });
        await gateway.WaitReadyAsync(port, "/health");
        var key = await MakeKeyAsync(adminPort);
        return (gateway, new Dictionary<string, string> { ["Authorization"] = $"Bearer {key}" });
    }

    private static ChildProcess Start(string repository, string folder, string service, int telemetryPort, Dictionary<string, string> environment)
    {
        // As the AppHost and run.sh start both services.
        environment["DOTNET_GCgen0size"] = service == "Gateway" ? "800000" : "400000";
        environment["VOLUME_DIR"] = Path.Combine(folder, "volume");
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://127.0.0.1:{telemetryPort}";
        var assembly = Path.Combine(repository, $"ChatHistory.{service}/bin/Release/net10.0/ChatHistory.{service}.dll");
        return ChildProcess.Start(Path.Combine(folder, $"{service}.log"), "dotnet", [assembly], environment);
    }

    private static async Task<string> MakeKeyAsync(int adminPort)
    {
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminKey);
        using var response = await http.PostAsJsonAsync(new Uri($"http://127.0.0.1:{adminPort}/admin/keys"), new { user_id = "bench", name = "bench" });
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("key").GetString()!;
    }
}
