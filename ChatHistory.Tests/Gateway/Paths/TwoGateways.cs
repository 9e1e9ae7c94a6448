using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway.Paths;

/// <summary>Two gateways before one storage service and one scripted model server; of the first it is seen what storage tells it.</summary>
public sealed class TwoGateways : IAsyncLifetime
{
    private RunningSystem? _running;
    private ServiceProcess? _first;
    private StorageTap? _tap;

    internal ScriptedModelServer Model { get; private set; } = null!;

    internal StorageTap Tap => _tap!;

    internal HttpClient First { get; private set; } = null!;

    /// <summary>It keeps no paths.</summary>
    internal HttpClient Second => _running!.Client;

    public async Task InitializeAsync()
    {
        Model = await ScriptedModelServer.StartAsync();
        _running = await RunningSystem.StartAsync(Model.Address, ("PathCache__MaxBytes", "0"));
        _tap = await StorageTap.StartAsync(_running.Storage.Addresses[1]);
        _first = await ServiceProcess.StartAsync("ChatHistory.Gateway", new()
        {
            ["VOLUME_DIR"] = Path.Combine(_running.VolumeDirectory, "first"),
            ["Kestrel__Endpoints__http__Url"] = "http://127.0.0.1:0",
            ["Kestrel__Endpoints__admin__Url"] = "http://127.0.0.1:0",
            ["services__storage__grpc__0"] = _running.Storage.Addresses[0].ToString(),
            ["services__storage__http__0"] = _tap.Address.ToString(),
            ["services__vllm__http__0"] = Model.Address.ToString(),
            ["ConnectionStrings__vllm"] = $"Endpoint={Model.Address}v1;Model={RunningSystem.Model}",
            ["Context__MaxTokens"] = "1000000",
            ["PathCache__MinBytes"] = "0",
        });
        First = new HttpClient { BaseAddress = _first.Addresses[0] };
        using (await Eventually.GetAsync(() => First.GetAsync("/health"), health => health.IsSuccessStatusCode))
        {
        }
    }

    public async Task DisposeAsync()
    {
        First.Dispose();
        await _first!.DisposeAsync();
        await _tap!.DisposeAsync();
        await _running!.DisposeAsync();
        await Model.DisposeAsync();
    }
}
