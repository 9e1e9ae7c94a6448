using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace ChatHistory.Tests.Processes;

/// <summary>
/// The product as its users run it: storage, a model server and the gateway, three processes on free ports, one database file in a folder of
/// its own. The model server is the simulator, or whatever the test puts in its place.
/// </summary>
internal sealed class RunningSystem : IAsyncDisposable
{
    public const string AdminKey = "test-admin-key-0123456789";
    public const string Model = "Qwen/Qwen3-0.6B";

    private readonly DirectoryInfo _volume;

    public required ServiceProcess Storage { get; init; }

    /// <summary>Null when the test brings its own model server.</summary>
    public required ServiceProcess? Simulator { get; init; }

    public required ServiceProcess Gateway { get; init; }

    /// <summary>Talks to the gateway without a key.</summary>
    public required HttpClient Client { get; init; }

    /// <summary>Talks to the gateway's admin listener, without a key.</summary>
    public required HttpClient AdminClient { get; init; }

    /// <summary>Everything that the services write lies below it.</summary>
    public string VolumeDirectory => _volume.FullName;

    public string DatabasePath => Path.Combine(_volume.FullName, "db", "chat.db");

    public string LogsDirectory => Path.Combine(_volume.FullName, "logs");

    /// <param name="modelServer">The address of another model server than the simulator.</param>
    /// <param name="settings">More settings for the gateway (and for the others, which ignore what they do not know).</param>
    public static async Task<RunningSystem> StartAsync(Uri? modelServer = null, params (string Key, string Value)[] settings)
    {
        var volume = Directory.CreateTempSubdirectory("chathistory-");
        if (modelServer is not null)
        {
            // A scripted server answers what the test expects; how large its window is nobody asks it.
            settings = [.. settings, ("Context__MaxTokens", "1000000")];
        }

        Dictionary<string, string> Settings(params (string Key, string Value)[] own) =>
            new([.. settings.Concat(own).Append(("VOLUME_DIR", volume.FullName)).Select(setting => KeyValuePair.Create(setting.Item1, setting.Item2))]);

        var storage = ServiceProcess.StartAsync("ChatHistory.StorageService", Settings(
            ("Kestrel__Endpoints__grpc__Url", "http://127.0.0.1:0"), ("Kestrel__Endpoints__http__Url", "http://127.0.0.1:0")));
        var simulator = modelServer is not null ? null : await ServiceProcess.StartAsync("ChatHistory.VllmSimulator", Settings(
            ("Kestrel__Endpoints__http__Url", "http://127.0.0.1:0"), ("Simulator__Model", Model), ("Simulator__TimePerToken", "00:00:00")));
        await storage;
        modelServer ??= simulator!.Addresses[0];
        var gateway = await ServiceProcess.StartAsync("ChatHistory.Gateway", Settings(
            ("Kestrel__Endpoints__http__Url", "http://127.0.0.1:0"), ("Kestrel__Endpoints__admin__Url", "http://127.0.0.1:0"),
            ("services__storage__grpc__0", storage.Result.Addresses[0].ToString()),
            ("services__storage__http__0", storage.Result.Addresses[1].ToString()),
            ("services__vllm__http__0", modelServer.ToString()),
            ("ConnectionStrings__vllm", $"Endpoint={modelServer}v1;Model={Model}")));

        var system = new RunningSystem(volume)
        {
            Storage = await storage,
            Simulator = simulator,
            Gateway = gateway,
            Client = NewClient(gateway.Addresses[0]),
            AdminClient = NewClient(gateway.AdminAddress),
        };
        await system.WaitUntilHealthyAsync();
        return system;
    }

    private RunningSystem(DirectoryInfo volume) => _volume = volume;

    /// <summary>Asks the gateway for its health until it is well: after a start, and after a restart of storage.</summary>
    public async Task WaitUntilHealthyAsync()
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        do
        {
            using var health = await Client.GetAsync("/health", timeout.Token);
            if (health.StatusCode == HttpStatusCode.OK)
            {
                return;
            }
        }
        while (await pause.WaitForNextTickAsync(timeout.Token));
    }

    /// <summary>A client with an API key of a user, made for it with the admin key.</summary>
    public Task<HttpClient> ClientOfAsync(string userId) => ClientWithNewKeyAsync($$"""{"user_id":"{{userId}}"}""");

    /// <summary>The same with a key that may speak for others by a UI's headers.</summary>
    public Task<HttpClient> TrustedClientOfAsync(string userId) => ClientWithNewKeyAsync($$"""{"user_id":"{{userId}}","role":"trusted_proxy"}""");

    private async Task<HttpClient> ClientWithNewKeyAsync(string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/admin/keys") { Content = Json(key) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", AdminKey);
        using var response = await AdminClient.SendAsync(request);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return ClientWith(JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("key").GetString()!);
    }

    /// <summary>With the admin key, on the admin listener.</summary>
    public HttpClient Administrator() => ClientWith(AdminKey, Gateway.AdminAddress);

    public HttpClient ClientWith(string key, Uri? address = null)
    {
        var client = NewClient(address ?? Client.BaseAddress!);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }

    // Services that other tests run in this process listen to activities; without a trace context of ours each turn's trace begins at the gateway.
    private static HttpClient NewClient(Uri gateway) => new(new SocketsHttpHandler { ActivityHeadersPropagator = null })
    {
        BaseAddress = gateway,
        Timeout = TimeSpan.FromSeconds(60),
    };

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        AdminClient.Dispose();
        await Gateway.DisposeAsync();
        await Storage.DisposeAsync();
        if (Simulator is not null)
        {
            await Simulator.DisposeAsync();
        }

        _volume.Delete(recursive: true);
    }

    public static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");
}
