using ChatHistory.ServiceDefaults;
using ChatHistory.StorageService.ApiKeys;
using ChatHistory.StorageService.Backups;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Sessions;
using ChatHistory.StorageService.Space;
using ChatHistory.StorageService.Turns;
using ChatHistory.StorageService.Writing;
using Microsoft.EntityFrameworkCore;

namespace ChatHistory.StorageService;

/// <summary>All registrations of this service.</summary>
internal static class StorageServices
{
    /// <summary>
    /// A message may hold images, and the text of an array's parts travels twice, as text and as the array. So this is more than twice what the
    /// gateway takes of a request (<c>Limits:MaxRequestBodyBytes</c>, at most 64 MiB) and more
    /// than it takes of an answer (<c>Vllm:MaxAnswerBytes</c>, at most 128 MiB).
    /// </summary>
    private const int MaxMessageBytes = 160 * 1024 * 1024;

    /// <summary>What gRPC puts before a message. So it is gRPC that refuses a message that is too large, with its own status.</summary>
    private const int GrpcFrameBytes = 5;

    public static WebApplicationBuilder AddStorage(this WebApplicationBuilder builder)
    {
        builder.AddStorageOptions();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<DatabaseFile>();
        builder.Services.AddSingleton<DatabaseReadiness>();
        builder.Services.AddSingleton<MigrationCopy>();
        builder.Services.AddSingleton<GroupCommit>();
        builder.Services.AddSingleton<DatabaseWriter>();
        builder.Services.AddSingleton<Ballast>();
        builder.Services.AddSingleton<TurnLeases>();
        builder.Services.AddSingleton<StorageMetrics>();
        builder.Services.AddSingleton<WalCheckpointer>();
        builder.Services.AddSingleton<ReadOnlySettingsInterceptor>();
        builder.Services.AddPooledDbContextFactory<ChatHistoryDbContext>((services, options) => options
            .UseSqlite(services.GetRequiredService<DatabaseFile>().ReadOnlyConnectionString)
            .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking)
            .AddInterceptors(services.GetRequiredService<ReadOnlySettingsInterceptor>()));

        // They stop in the reverse order: the database closes last.
        builder.Services.AddHostedService<DatabaseInitializer>();
        builder.Services.AddHostedService(services => services.GetRequiredService<WalCheckpointer>());
        builder.Services.AddHostedService<DiskWatch>();
        builder.Services.AddHostedService<AbandonedTurnReaper>();
        builder.Services.AddHostedService<ExpirySweeper>();
        builder.AddBackups();
        builder.Services.AddHealthChecks().AddCheck<DatabaseHealthCheck>("database");

        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = MaxMessageBytes + GrpcFrameBytes);
        // There are few connections, one for each gateway's turns: to hand what came on one over to another thread takes longer than to answer it.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.Services.AddSingleton<TurnsService>();
        builder.Services.AddSingleton<SessionsService>();
        builder.Services.AddSingleton<MessagesService>();
        builder.Services.AddSingleton<ApiKeysService>();
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxMessageBytes;
            grpc.MaxSendMessageSize = null;
            grpc.Interceptors.Add<ReadinessInterceptor>();
        });
        builder.Services.AddSingleton<ReadinessInterceptor>();
        return builder;
    }

    public static void MapStorage(this WebApplication app)
    {
        // The gateway writes turns by HTTP/1.1, on the endpoint where health is asked for. That a browser could speak, too: on a developer's machine a page that
        // found the port (DNS rebinding) would be asked for no key. A browser says with each POST from where its page is; nobody else does.
        app.Use((context, next) =>
        {
            if (context.Request.Headers.Origin.Count == 0)
            {
                return next(context);
            }

            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return context.Response.WriteAsync("The storage service serves the gateway, and no web page.");
        });
        app.UseGrpcWeb();
        app.MapGrpcService<TurnsService>().EnableGrpcWeb();
        app.MapGrpcService<SessionsService>();
        app.MapGrpcService<MessagesService>();
        app.MapGrpcService<ApiKeysService>();
        app.MapGrpcService<BackupsService>();
    }

    private static void AddStorageOptions(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<DatabaseOptions>()
            .BindConfiguration(DatabaseOptions.Section)
            .Configure(options => options.Path = Volume.DatabasePath(builder.Configuration))
            .ValidateDataAnnotations()
            .Validate(
                options => !Directory.Exists(options.Path),
                "Database:Path names a directory. Name the file in it, such as /app/data/chat.db.")
            .ValidateOnStart();
        builder.Services.AddOptions<WriterOptions>().BindConfiguration(WriterOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddOptions<TurnOptions>()
            .BindConfiguration(TurnOptions.Section)
            .Validate(
                options => options.AbandonedAfter >= TimeSpan.FromSeconds(1),
                "Turns:AbandonedAfter is shorter than a second. Gateways renew a turn every 20 s: give it a multiple of that, such as 00:01:00.")
            .ValidateOnStart();
    }
}
