using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>
/// A running system that asks for API keys, in front of a model server that asks for one of its own and answers what each test writes. It waits
/// only briefly, and accepts only small bodies.
/// </summary>
public sealed class GuardedSystem : IAsyncLifetime
{
    public const string UpstreamKey = "the-model-servers-own-key";
    public const int MaxBytes = 64 * 1024;

    private ScriptedModelServer? _model;
    private RunningSystem? _running;

    internal ScriptedModelServer Model => _model!;

    internal RunningSystem Running => _running!;

    /// <summary>With the key of a user.</summary>
    internal HttpClient Client { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _model = await ScriptedModelServer.StartAsync();
        _running = await RunningSystem.StartAsync(
            _model.Address,
            ("Identity__AdminKey", RunningSystem.AdminKey),
            ("Vllm__ApiKey", UpstreamKey),
            ("Vllm__ResponseTimeout", "00:00:02"),
            ("Vllm__IdleTimeout", "00:00:01"),
            ("Limits__MaxRequestBodyBytes", $"{MaxBytes}"));
        Client = await _running.ClientOfAsync("ada");
    }

    public async Task DisposeAsync()
    {
        Client.Dispose();
        await _running!.DisposeAsync();
        await _model!.DisposeAsync();
    }
}
