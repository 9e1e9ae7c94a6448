using ChatHistory.Storage.V1;
using Grpc.Net.Client;

namespace ChatHistory.Tests.StorageService;

/// <summary>Talks to a storage service in another process.</summary>
internal sealed class StorageClient(Uri address) : IDisposable
{
    private readonly GrpcChannel _channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { MaxReceiveMessageSize = null });

    public Backups.BackupsClient Backups => new(_channel);

    public async Task<IReadOnlyList<WriteResult>> WriteAsync(params WriteCommand[] commands) =>
        (await new Turns.TurnsClient(_channel).WriteAsync(new WriteRequest { Commands = { commands } })).Results;

    public void Dispose() => _channel.Dispose();
}
