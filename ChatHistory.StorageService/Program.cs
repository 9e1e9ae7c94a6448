using ChatHistory.ServiceDefaults;
using ChatHistory.StorageService;
using ChatHistory.StorageService.Backups;
using ChatHistory.StorageService.Database;

if (HealthProbe.Requested(args))
{
    return await HealthProbe.RunAsync();
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
