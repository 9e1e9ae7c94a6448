using ChatHistory.ServiceDefaults;
using ChatHistory.StorageService;
using ChatHistory.StorageService.Backups;
using ChatHistory.StorageService.Database;

if (HealthProbe.Requested(args))
{
    return await HealthProbe.RunAsync();
}

if (!OperatingSystem.IsWindows())
{
    // Conversations are nobody else's on this machine: database, log, backups and all else that is made here has mode 0600.
    _ = LibC.Mask(0b000_111_111);
}

SqliteLibrary.UseFewerLocks();

WebApplication Build()
{
    var builder = Extensions.CreateServiceBuilder(args, "storage");
    builder.AddStorage();

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapStorage();
    return app;
}

return RestoreCommand.Requested(args) ? await RestoreCommand.RunAsync(Build(), args) : await ServiceRun.RunAsync(Build);
