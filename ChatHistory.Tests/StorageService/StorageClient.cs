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

    public async Task DeleteSessionAsync(string sessionId) =>
        await new Sessions.SessionsClient(_channel).DeleteAsync(new DeleteSessionRequest { Scope = Wire.Everyone, SessionId = sessionId });

    public async Task<IReadOnlyList<Message>> ListAsync(string sessionId) =>
        (await new Sessions.SessionsClient(_channel).ListMessagesAsync(new ListMessagesRequest { Scope = Wire.Everyone, SessionId = sessionId, Limit = 1000 })).Messages;

    public void Dispose() => _channel.Dispose();
}
