namespace ChatHistory.Tests.VllmSimulator;

/// <summary>Lets <c>await using</c> end a server of one test's own (xunit 2's IAsyncLifetime is no IAsyncDisposable).</summary>
internal sealed class AsyncServer(SimulatorServer server) : IAsyncDisposable
{
    public SimulatorServer Server => server;

    public async ValueTask DisposeAsync() => await server.DisposeAsync();
}
