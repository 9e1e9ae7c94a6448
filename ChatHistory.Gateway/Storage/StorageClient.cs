// The contract's services and our feature folders share the words "sessions" and "messages"; these names tell them apart.
global using ApiKeysClient = ChatHistory.Storage.V1.ApiKeys.ApiKeysClient;
global using BackupsClient = ChatHistory.Storage.V1.Backups.BackupsClient;
global using MessagesClient = ChatHistory.Storage.V1.Messages.MessagesClient;
global using SessionsClient = ChatHistory.Storage.V1.Sessions.SessionsClient;
global using TurnsClient = ChatHistory.Storage.V1.Turns.TurnsClient;
using Grpc.Core;
using Grpc.Net.Client.Configuration;

namespace ChatHistory.Gateway.Storage;

/// <summary>Registers the gRPC clients of the storage service. Service discovery finds it as <c>storage</c>, endpoint <c>grpc</c>.</summary>
internal static class StorageClient
{
    /// <summary>The longest a read may take before it counts as unavailable.</summary>
    private static readonly TimeSpan s_readDeadline = TimeSpan.FromSeconds(10);

    public static IServiceCollection AddStorageClients(this IServiceCollection services)
    {
        services.AddStorageClient<TurnsClient>();
        services.AddStorageClient<SessionsClient>();
        services.AddStorageClient<MessagesClient>();
        services.AddStorageClient<ApiKeysClient>();
        services.AddStorageClient<BackupsClient>();
        services.AddSingleton<WriteBatcher>();
        services.AddHostedService(provider => provider.GetRequiredService<WriteBatcher>());
        return services;
    }

    /// <summary>A deadline for a read or a single write.</summary>
    public static DateTime Deadline(this TimeProvider time) => (time.GetUtcNow() + s_readDeadline).UtcDateTime;

    private static void AddStorageClient<TClient>(this IServiceCollection services)
        where TClient : class =>
        services
            .AddGrpcClient<TClient>(options => options.Address = new Uri("http://_grpc.storage"))
            .ConfigureChannel(channel =>
            {
                // A replayed history or a page of messages is as long as people have talked; gRPC's default is 4 MB.
                channel.MaxReceiveMessageSize = null;
                channel.MaxSendMessageSize = null;
                channel.ServiceConfig = new ServiceConfig { MethodConfigs = { s_retryWhatIsIdempotent } };
            });

    // Every call of the contract is idempotent by the ids it carries, so a storage service that restarts is bridged by a repetition.
    // Turns.Write is repeated by the WriteBatcher, which knows how long each turn can wait.
    private static readonly MethodConfig s_retryWhatIsIdempotent = new()
    {
        Names =
        {
            new MethodName { Service = "chathistory.storage.v1.Sessions" },
            new MethodName { Service = "chathistory.storage.v1.Messages" },
            new MethodName { Service = "chathistory.storage.v1.ApiKeys" },
        },
        RetryPolicy = new RetryPolicy
        {
            MaxAttempts = 4,
            InitialBackoff = TimeSpan.FromMilliseconds(100),
            MaxBackoff = TimeSpan.FromSeconds(1),
            BackoffMultiplier = 2,
            RetryableStatusCodes = { StatusCode.Unavailable },
        },
    };
}
