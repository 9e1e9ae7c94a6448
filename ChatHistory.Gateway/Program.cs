using ChatHistory.Gateway;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Storage;
using ChatHistory.ServiceDefaults;

if (HealthProbe.Requested(args))
{
    return await HealthProbe.RunAsync();
}

return await ServiceRun.RunAsync(Build, StorageClient.IsFailedCall);

WebApplication Build()
{
    var builder = Extensions.CreateServiceBuilder(args, "gateway", ResponseCut.IsCut);
    builder.AddGateway();

    var app = builder.Build();
    app.UseGateway();
    app.MapDefaultEndpoints();
    app.MapGateway();
    app.Lifetime.ApplicationStarted.Register(ServiceRun.GiveBackMemory);
    return app;
}
