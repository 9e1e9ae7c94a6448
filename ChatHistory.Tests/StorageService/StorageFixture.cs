extern alias storage;

using ChatHistory.Storage.V1;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using storage::ChatHistory.StorageService;
using storage::ChatHistory.StorageService.Database;

namespace ChatHistory.Tests.StorageService;

/// <summary>The storage service in this process: real Kestrel on a free port, a real SQLite file in a folder of its own.</summary>
internal sealed class StorageFixture : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly GrpcChannel _channel;
    private readonly TemporaryFolder? _ownFolder;

    private StorageFixture(WebApplication application, string databasePath, TemporaryFolder? ownFolder)
    {
        _application = application;
        _ownFolder = ownFolder;
        DatabasePath = databasePath;
        var address = application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        _channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { MaxReceiveMessageSize = null, MaxSendMessageSize = null });
        Turns = new Turns.TurnsClient(_channel);
        Sessions = new Sessions.SessionsClient(_channel);
        Messages = new Messages.MessagesClient(_channel);
        ApiKeys = new ApiKeys.ApiKeysClient(_channel);
        Backups = new Backups.BackupsClient(_channel);
    }

    public string DatabasePath { get; }

    public Turns.TurnsClient Turns { get; }

    public Sessions.SessionsClient Sessions { get; }

    public Messages.MessagesClient Messages { get; }

    public ApiKeys.ApiKeysClient ApiKeys { get; }

    public Backups.BackupsClient Backups { get; }

    public string BackupsDirectory => Path.Combine(Path.GetDirectoryName(DatabasePath)!, "backups");

    public IServiceProvider Services => _application.Services;

    /// <summary>Starts the service and waits until its database is open, or could not be opened.</summary>
    /// <param name="databasePath">Null: a new file that goes with the fixture.</param>
    /// <param name="time">Null: the system's.</param>
    /// <param name="settings">Configuration, such as <c>("Writer:MaxQueuedCalls", "1")</c>.</param>
    public static Task<StorageFixture> StartAsync(string? databasePath = null, TimeProvider? time = null, params (string Key, string Value)[] settings) =>
        StartPreparedAsync(_ => { }, databasePath, time, settings);

    /// <param name="prepare">Done to the service before it starts.</param>
    public static async Task<StorageFixture> StartPreparedAsync(
        Action<IServiceProvider> prepare, string? databasePath = null, TimeProvider? time = null, params (string Key, string Value)[] settings)
    {
        var ownFolder = databasePath is null ? new TemporaryFolder() : null;
        databasePath ??= Path.Combine(ownFolder!.Path, "chat.db");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        // Nothing from the test folder's appsettings.json, nor from the environment.
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Database:Path"] = databasePath,
            ["Kestrel:Endpoints:grpc:Url"] = "http://127.0.0.1:0",
            ["Kestrel:Endpoints:grpc:Protocols"] = "Http2",
        });
        builder.Configuration.AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)));
        builder.AddStorage();
        if (time is not null)
        {
            builder.Services.AddSingleton(time);
        }

        var application = builder.Build();
        application.MapStorage();
        prepare(application.Services);
        await application.StartAsync();
        var initializer = application.Services.GetServices<IHostedService>().OfType<DatabaseInitializer>().Single();
        await initializer.ExecuteTask!;
        return new StorageFixture(application, databasePath, ownFolder);
    }

    /// <summary>Opens the file as any other program would.</summary>
    public SqliteConnection OpenAsOtherTool() => OtherTool.Open(DatabasePath);

    public async Task<IReadOnlyList<WriteResult>> WriteAsync(params WriteCommand[] commands) =>
        (await Turns.WriteAsync(new WriteRequest { Commands = { commands } })).Results;

    public async Task<WriteResult> WriteOneAsync(WriteCommand command) => (await WriteAsync(command)).Single();

    public async Task<List<Message>> ListAsync(string sessionId, string? owner = null)
    {
        var reply = await Sessions.ListMessagesAsync(
            new ListMessagesRequest { Scope = owner is null ? Wire.Everyone : Wire.Owner(owner), SessionId = sessionId, Limit = 1000 });
        return [.. reply.Messages];
    }

    public async Task<List<string>> TranscriptAsync(string sessionId)
    {
        var transcript = await Sessions.GetTranscriptAsync(new GetTranscriptRequest { Scope = Wire.Everyone, SessionId = sessionId });
        return [.. transcript.Messages.Select(message => $"{message.Role}: {message.Content}")];
    }

    public async Task<Session> GetSessionAsync(string sessionId) =>
        await Sessions.GetAsync(new GetSessionRequest { Scope = Wire.Everyone, SessionId = sessionId });

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _application.StopAsync();
        await _application.DisposeAsync();
        _ownFolder?.Dispose();
    }
}
