using Aspire.Hosting.Docker;
using Aspire.Hosting.Docker.Resources;
using Aspire.Hosting.Docker.Resources.ComposeNodes;

namespace ChatHistory.AppHost.Compose;

/// <summary>What holds for the compose file as a whole: networks, the dashboard, order of start, variables.</summary>
internal static class ComposeEnvironment
{
    /// <summary>Joins all services and has no way out: storage and its data are reachable from the other services only.</summary>
    private const string BackendNetwork = "backend";

    /// <summary>For what talks beyond the host or is published on it: the gateway, the dashboard, and vLLM, which downloads models.</summary>
    private const string EdgeNetwork = "edge";

    public static IResourceBuilder<DockerComposeEnvironmentResource> WithHardenedCompose(
        this IResourceBuilder<DockerComposeEnvironmentResource> environment)
    {
        var resources = environment.ApplicationBuilder.Resources;
        return environment
            .WithProperties(properties => properties.DefaultNetworkName = BackendNetwork)
            .WithAnnotation(new ComposeVariable("APP_UID", "1654", "User that the services run as."))
            .WithAnnotation(new ComposeVariable("APP_GID", "1654", "Group that the services run as."))
            .WithDashboard(dashboard => dashboard
                .WithImage("mcr.microsoft.com/dotnet/aspire-dashboard", "13.5.2")
                .PublishHardened()
                .PublishAsDockerComposeService((_, service) => service.Ports = ["127.0.0.1:${DASHBOARD_PORT}:18888"]))
            .WithAnnotation(new ComposeVariable("DASHBOARD_PORT", "18888", "Port of the dashboard, on loopback. Its log shows the link to log in."))
            .ConfigureComposeFile(file =>
            {
                file.Name = environment.Resource.Name;
                AddVolumeInit(file);
                WaitUntilHealthy(file, resources);
                StopDashboardLast(file, $"{environment.Resource.Name}-dashboard");
                SplitNetworks(file, resources);
                WriteDefaults(file, VariablesOf(environment.Resource, resources));
            })
            .ConfigureEnvFile(variables => DescribeVariables(variables, VariablesOf(environment.Resource, resources)))
            .WithFinishedComposeFile();
    }

    /// <summary>
    /// Bind mounts that the engine creates belong to root, and the services do not run as root. The storage image is used because it is
    /// there anyway and has a shell.
    /// </summary>
    private static void AddVolumeInit(ComposeFile file)
    {
        const string Name = "volume-init";
        var mounted = file.Services.Values.Where(service => service.Volumes.Count > 0).ToList();
        var folders = mounted.SelectMany(service => service.Volumes).DistinctBy(volume => volume.Target).OrderBy(volume => volume.Target, StringComparer.Ordinal);
        var init = new Service
        {
            Name = Name,
            Image = file.Services["storage"].Image,
            User = "0:0",
            Entrypoint = ["/bin/sh", "-c"],
            Command = [string.Join(" && ", folders.Select(folder => $"chown -Rh {OwnerOf(folder.Target!)} {folder.Target}"))],
            NetworkMode = "none",
            Restart = "no",
            ReadOnly = true,
            CapDrop = ["ALL"],
            CapAdd = ["CHOWN", "DAC_OVERRIDE", "FOWNER"],
            SecurityOpt = ["no-new-privileges:true"],
            Volumes = [.. folders],
        };
        file.AddService(init);
        foreach (var service in mounted)
        {
            service.DependsOn[Name] = new ServiceDependency { Condition = "service_completed_successfully" };
        }

        string OwnerOf(string target) =>
            mounted.First(service => service.Volumes.Any(volume => volume.Target == target)).User!;
    }

    /// <summary><c>WaitFor</c> means healthy, but Aspire writes <c>service_started</c> for it, because it writes no health checks itself.</summary>
    private static void WaitUntilHealthy(ComposeFile file, IResourceCollection resources)
    {
        foreach (var resource in resources)
        {
            foreach (var wait in resource.Annotations.OfType<WaitAnnotation>().Where(wait => wait.WaitType is WaitType.WaitUntilHealthy))
            {
                if (file.Services.TryGetValue(resource.Name, out var service)
                    && service.DependsOn.TryGetValue(wait.Resource.Name, out var dependency)
                    && file.Services[wait.Resource.Name].Healthcheck is not null)
                {
                    dependency.Condition = "service_healthy";
                }
            }
        }
    }

    /// <summary>
    /// Whoever sends telemetry depends on the dashboard, so that it is stopped after them: each would spend most of its grace period on sending its last
    /// telemetry to nobody. It need only be started, not healthy.
    /// </summary>
    private static void StopDashboardLast(ComposeFile file, string dashboard)
    {
        foreach (var service in file.Services.Values.Where(service => service.Environment.ContainsKey("OTEL_EXPORTER_OTLP_ENDPOINT")))
        {
            service.DependsOn[dashboard] = new ServiceDependency { Condition = "service_started" };
        }
    }

    private static void SplitNetworks(ComposeFile file, IResourceCollection resources)
    {
        file.Networks[BackendNetwork].Internal = true;
        file.AddNetwork(new Network { Name = EdgeNetwork, Driver = "bridge" });
        var reachingOut = resources.Where(resource => resource.HasAnnotationOfType<ComposeEgressAnnotation>()).Select(resource => resource.Name).ToHashSet();
        foreach (var service in file.Services.Values.Where(service => service.Ports.Count > 0 || reachingOut.Contains(service.Name)))
        {
            service.Networks.Add(EdgeNetwork);
        }
    }

    private static Dictionary<string, ComposeVariable> VariablesOf(IResource environment, IResourceCollection resources) =>
        resources.Append(environment)
            .SelectMany(resource => resource.Annotations.OfType<ComposeVariable>())
            .DistinctBy(variable => variable.Name)
            .ToDictionary(variable => variable.Name);

    private static void WriteDefaults(ComposeFile file, Dictionary<string, ComposeVariable> variables)
    {
        string Filled(string text) => ComposeVariable.WithDefaults(text, variables);

        foreach (var service in file.Services.Values)
        {
            service.Image = Filled(service.Image!);
            service.User = service.User is null ? null : Filled(service.User);
            service.Command = [.. service.Command.Select(Filled)];
            service.Ports = [.. service.Ports.Select(Filled)];
            service.Environment = service.Environment.ToDictionary(pair => pair.Key, pair => Filled(pair.Value));
            if (service.Healthcheck is { } check)
            {
                check.Test = [.. check.Test.Select(Filled)];
            }
        }
    }

    private static void DescribeVariables(IDictionary<string, CapturedEnvironmentVariable> captured, Dictionary<string, ComposeVariable> variables)
    {
        foreach (var (name, variable) in variables)
        {
            captured.TryAdd(name, new CapturedEnvironmentVariable { Name = name, DefaultValue = variable.Default });
            captured[name].Description = variable.Default.Length is 0 ? variable.Description : $"{variable.Description} Default: {variable.Default}";
        }
    }
}
