using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>One running system whose model server answers what each test writes, shared by the tests of a class, which run one after the other.</summary>
public sealed class ScriptedSystem : IAsyncLifetime
{
    private ScriptedModelServer? _model;
    private RunningSystem? _running;

    internal ScriptedModelServer Model => _model!;

    internal HttpClient Client => _running!.Client;

    public async Task InitializeAsync()
    {
        _model = await ScriptedModelServer.StartAsync();
        _running = await RunningSystem.StartAsync(_model.Address);
    }

    public async Task DisposeAsync()
    {
        await _running!.DisposeAsync();
        await _model!.DisposeAsync();
    }
}
