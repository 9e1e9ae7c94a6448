using ChatHistory.ServiceDefaults;

namespace ChatHistory.StorageService.Backups;

/// <summary>The registrations of backups.</summary>
internal static class BackupServices
{
    public static void AddBackups(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<BackupOptions>()
            .BindConfiguration(BackupOptions.Section)
            .Configure(options => options.Directory = string.IsNullOrWhiteSpace(options.Directory)
                ? Path.Combine(Path.GetDirectoryName(Volume.DatabasePath(builder.Configuration))!, "backups")
                : Path.GetFullPath(options.Directory))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddSingleton<BackupFolder>();
        builder.Services.AddSingleton<BackupMetrics>();
        builder.Services.AddSingleton<LiveCopy>();
        builder.Services.AddSingleton<BackupMaker>();
        builder.Services.AddSingleton<ReplacedDatabase>();
        builder.Services.AddSingleton<RevokedKeys>();
        builder.Services.AddSingleton<OnlineRestore>();
        builder.Services.AddSingleton<BackupsService>();
        builder.Services.AddSingleton<BackupScheduler>();
        // After the database's own, so that it stops before it.
        builder.Services.AddHostedService(services => services.GetRequiredService<BackupScheduler>());
        builder.Services.AddHealthChecks().AddCheck<BackupHealthCheck>("backups");
    }
}
