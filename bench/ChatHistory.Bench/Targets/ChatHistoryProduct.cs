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

        int gatewayPort = ChildProcess.FreePort(), adminPort = ChildProcess.FreePort(), grpcPort = ChildProcess.FreePort(), healthPort = ChildProcess.FreePort();
        var storage = Start(repository, folder, "StorageService", telemetryPort, new()
        {
            ["Kestrel__Endpoints__grpc__Url"] = $"http://127.0.0.1:{grpcPort}",
            ["Kestrel__Endpoints__http__Url"] = $"http://127.0.0.1:{healthPort}",
        });
        var gateway = Start(repository, folder, "Gateway", telemetryPort, new()
        {
            ["Kestrel__Endpoints__http__Url"] = $"http://127.0.0.1:{gatewayPort}",
            ["Kestrel__Endpoints__admin__Url"] = $"http://127.0.0.1:{adminPort}",
            ["services__storage__grpc__0"] = $"http://127.0.0.1:{grpcPort}",
            ["services__storage__http__0"] = $"http://127.0.0.1:{healthPort}",
            ["services__vllm__http__0"] = $"http://127.0.0.1:{upstreamPort}",
            ["ConnectionStrings__vllm"] = $"Endpoint=http://127.0.0.1:{upstreamPort}/v1;Key=;Model=bench-instant",
            ["Identity__AdminKey"] = AdminKey,
        });
        await storage.WaitReadyAsync(healthPort, "/health");
        await gateway.WaitReadyAsync(gatewayPort, "/health");
        var key = await MakeKeyAsync(adminPort);
        return new Target(Target.Product, gatewayPort, new Dictionary<string, string> { ["Authorization"] = $"Bearer {key}" }, [storage, gateway]);
    }

    private static ChildProcess Start(string repository, string folder, string service, int telemetryPort, Dictionary<string, string> environment)
    {
        // As the AppHost and run.sh start both services.
        environment["DOTNET_GCgen0size"] = "400000";
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
