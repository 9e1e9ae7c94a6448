using ChatHistory.ServiceDefaults;
using ChatHistory.StorageService;
using ChatHistory.StorageService.Backups;

if (HealthProbe.Requested(args))
{
    return await HealthProbe.RunAsync();
}

var builder = Extensions.CreateServiceBuilder(args, "storage");
builder.AddStorage();
if (RestoreCommand.Requested(args))
{
    return await RestoreCommand.RunAsync(builder.Build(), args);
}

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapStorage();
return await app.RunToTheEndAsync();
