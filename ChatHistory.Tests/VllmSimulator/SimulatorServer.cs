extern alias simulator;

using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using simulator::ChatHistory.VllmSimulator;

namespace ChatHistory.Tests.VllmSimulator;

/// <summary>A simulator on a real Kestrel and a free port. Its clock stands at a known second unless a test moves it; paces are zero.</summary>
public sealed class SimulatorServer : IAsyncLifetime
{
    public const string Model = "chathistory-simulator";
    public const long Created = 1_700_000_000;

    /// <summary>Nothing here takes this long unless it hangs.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private readonly string[] _args;
    private readonly string _folder = Directory.CreateTempSubdirectory("simulator-").FullName;
    private WebApplication? _app;

    public SimulatorServer()
        : this([])
    {
    }

    private SimulatorServer(string[] args) => _args = args;

    public FakeTimeProvider Clock { get; } = new(DateTimeOffset.FromUnixTimeSeconds(Created));

    public HttpClient Client { get; } = new() { Timeout = Timeout };

    /// <summary>Starts a simulator of one test's own, configured like <c>--Simulator:MaxModelLen=100</c>.</summary>
    public static async Task<SimulatorServer> StartAsync(params string[] args)
    {
        var server = new SimulatorServer(args);
        await server.InitializeAsync();
        return server;
    }

    public async Task InitializeAsync()
    {
        // The content root keeps the appsettings.json of whichever service lies beside the tests away.
        _app = SimulatorApplication.Build(
            [
                "--contentRoot", _folder,
                $"--Logs:Directory={_folder}",
                "--Serilog:MinimumLevel:Default=Fatal",
                "--Kestrel:Endpoints:http:Url=http://127.0.0.1:0",
                "--Simulator:TimePerToken=00:00:00",
                .. _args,
            ],
            builder => builder.Services.AddSingleton<TimeProvider>(Clock));
        await _app.StartAsync();
        Client.BaseAddress = new Uri(_app.Urls.Single());
    }

    public async Task DisposeAsync()
    {
        Client.Dispose();
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Posts a body as it is; the id of the answer will end in "1".</summary>
    public Task<HttpResponseMessage> PostAsync(string path, string json, HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead, CancellationToken cancellationToken = default)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, Encoding.UTF8, "application/json") };
        request.Headers.Add("X-Request-Id", "1");
        return Client.SendAsync(request, completion, cancellationToken);
    }

    public async Task<string> PostForTextAsync(string path, string json)
    {
        using var response = await PostAsync(path, json);
        return await response.Content.ReadAsStringAsync();
    }

    public async Task<JsonElement> PostForJsonAsync(string path, string json)
    {
        using var response = await PostAsync(path, json);
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    /// <summary>Asks for a stream and splits it into the JSON of its chunks; <c>[DONE]</c> must end it and is left out.</summary>
    public async Task<JsonElement[]> PostForChunksAsync(string path, string json)
    {
        var events = (await PostForTextAsync(path, json)).Split("\n\n");
        Assert.Equal(["data: [DONE]", ""], events[^2..]);
        return [.. events[..^2].Select(data => JsonElement.Parse(data["data: ".Length..]))];
    }

    /// <summary>Asks again and again until the answer is as expected; the test's time limit ends it.</summary>
    public async Task<JsonElement> WaitForRequestsAsync(Predicate<JsonElement> isExpected)
    {
        using var limit = new CancellationTokenSource(Timeout);
        while (true)
        {
            var requests = await Client.GetFromJsonAsync<JsonElement>("/simulator/requests", limit.Token);
            if (isExpected(requests))
            {
                return requests;
            }
        }
    }
}
