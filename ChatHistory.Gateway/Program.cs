using ChatHistory.Gateway;
using ChatHistory.ServiceDefaults;

if (HealthProbe.Requested(args))
{
    return await HealthProbe.RunAsync();
}

var builder = Extensions.CreateServiceBuilder(args, "gateway");
builder.AddGateway();

var app = builder.Build();
app.UseGateway();
app.MapDefaultEndpoints();
app.MapGateway();

await app.RunAsync();
return 0;
