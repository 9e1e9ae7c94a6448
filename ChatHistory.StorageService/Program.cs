using ChatHistory.ServiceDefaults;
using ChatHistory.StorageService;

if (HealthProbe.Requested(args))
{
    return await HealthProbe.RunAsync();
}

return await ServiceRun.RunAsync(() =>
{
    var builder = Extensions.CreateServiceBuilder(args, "storage");
    builder.AddStorage();

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapStorage();
    return app;
});
