using ChatHistory.ServiceDefaults;
using ChatHistory.VllmSimulator;

if (HealthProbe.Requested(args))
{
    return await HealthProbe.RunAsync();
}

await using var app = SimulatorApplication.Build(args);
await app.RunAsync();
return 0;
