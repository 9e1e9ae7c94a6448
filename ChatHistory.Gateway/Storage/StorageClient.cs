// The contract's services and our feature folders share the words "sessions" and "messages"; these names tell them apart.
global using ApiKeysClient = ChatHistory.Storage.V1.ApiKeys.ApiKeysClient;
global using BackupsClient = ChatHistory.Storage.V1.Backups.BackupsClient;
global using MessagesClient = ChatHistory.Storage.V1.Messages.MessagesClient;
global using SessionsClient = ChatHistory.Storage.V1.Sessions.SessionsClient;
global using TurnsClient = ChatHistory.Storage.V1.Turns.TurnsClient;
using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using Grpc.Net.Client.Web;

namespace ChatHistory.Gateway.Storage;

/// <summary>
/// Registers the gRPC clients of the storage service. Service discovery finds it as <c>storage</c>, endpoint <c>grpc</c>; the writes of turns go to its endpoint <c>http</c>.
/// </summary>
internal static class StorageClient
{
    /// <summary>The longest a read may take before it counts as unavailable.</summary>
    private static readonly TimeSpan s_readDeadline = TimeSpan.FromSeconds(10);

    public static IServiceCollection AddStorageClients(this IServiceCollection services)
    {
        services.AddTurnsClient();
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

    /// <summary>
    /// A failed call, which is what its caller got. The client that repeats calls keeps a task of its own besides that fails with it, and that nobody looks at
    /// (grpc/grpc-dotnet#2081).
    /// </summary>
    public static bool IsFailedCall(Exception exception) => exception is RpcException;

    private static void AddStorageClient<TClient>(this IServiceCollection services)
        where TClient : class =>
        services
            .AddGrpcClient<TClient>(options => options.Address = new Uri("http://_grpc.storage"))
            .ConfigureChannel(TakeAnySize)
            .ConfigureChannel(channel => channel.ServiceConfig = new ServiceConfig { MethodConfigs = { s_retryWhatIsIdempotent } });

    // As gRPC-Web over HTTP/1.1. What HTTP/2 is good for, many calls on one connection, the batches of WriteBatcher do already, and each call
    // of HTTP/2 passes from thread to thread a dozen times on its way: for a lone turn a third of all that storing it takes (decision 29).
    private static void AddTurnsClient(this IServiceCollection services) =>
        services
            .AddGrpcClient<TurnsClient>(options => options.Address = new Uri("http://_http.storage"))
            .ConfigureChannel(TakeAnySize)
            .ConfigureChannel(channel => (channel.HttpVersion, channel.HttpVersionPolicy) = (HttpVersion.Version11, HttpVersionPolicy.RequestVersionExact))
            .AddHttpMessageHandler(() => new GrpcWebHandler(GrpcWebMode.GrpcWeb));

    // A replayed history or a page of messages is as long as people have talked; gRPC's default is 4 MB.
    private static void TakeAnySize(GrpcChannelOptions channel) => (channel.MaxReceiveMessageSize, channel.MaxSendMessageSize) = (null, null);

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
