using Aspire.Hosting.Docker;
using Aspire.Hosting.Docker.Resources.ComposeNodes;
using Aspire.Hosting.Docker.Resources.ServiceNodes;
using Aspire.Hosting.Docker.Resources.ServiceNodes.Swarm;
using ChatHistory.AppHost.Vllm;

namespace ChatHistory.AppHost.Compose;

/// <summary>
/// What every published service gets: an ordinary user, a read-only root, no capabilities, limits, a restart policy, a health check.
/// </summary>
internal static class ComposeHardening
{
    private const string ServiceUser = "${APP_UID}:${APP_GID}";

    /// <summary>Publishes one of our services.</summary>
    public static IResourceBuilder<ProjectResource> PublishHardened(this IResourceBuilder<ProjectResource> builder)
    {
        var image = $"{Settings.EnvironmentVariable(builder.Resource.Name)}_IMAGE";
        var assembly = Path.GetFileNameWithoutExtension(builder.Resource.GetProjectMetadata().ProjectPath);
        return builder
            // No reverse proxy stands in front, so nobody may say where a request came from.
            .DisableForwardedHeaders()
            .WithAnnotation(new ComposeVariable(image, $"chathistory-{builder.Resource.Name}:latest", $"Image of the {builder.Resource.Name} service."))
            .PublishAsDockerComposeService((_, service) =>
            {
                Harden(service, ServiceUser, memory: "1g");
                Mount(service, builder.Resource);
                // The images carry neither curl nor wget: the service's own binary asks the running service.
                service.Healthcheck = new Healthcheck
                {
                    Test = ["CMD", "dotnet", $"/app/{assembly}.dll", "--healthcheck"],
                    Interval = "10s",
                    Timeout = "10s",
                    Retries = 3,
                    StartPeriod = "60s",
                };
            });
    }

    /// <summary>Publishes vLLM: a GPU server with its own user, a place for compiled kernels, and minutes to start.</summary>
    public static IResourceBuilder<VllmResource> PublishHardened(this IResourceBuilder<VllmResource> builder)
    {
        builder.Resource.TryGetContainerImageName(out var image);
        return builder
            .WithAnnotation(new ComposeEgressAnnotation())
            // It computes with a thread per core in each of several processes.
            .WithAnnotation(new ComposePidsAnnotation(4096))
            .WithAnnotation(new ComposeVariable("VLLM_IMAGE", image!, "Image of vLLM. For an NVIDIA driver older than 580, put -cu129 behind the tag."))
            .WithAnnotation(new ComposeVariable("VLLM_UID", "2000", "User that vLLM runs as. The image is made for 2000, in group 0."))
            .PublishAsDockerComposeService((_, service) =>
            {
                service.Image = "${VLLM_IMAGE}";
                // No memory limit: what a model needs is for its owner to know.
                Harden(service, "${VLLM_UID}:0", memory: null);
                Mount(service, builder.Resource);
                // Kernels are compiled here and then loaded, which needs "exec".
                service.Tmpfs = ["/tmp:exec,mode=1777"];
                service.ShmSize = VllmArguments.SharedMemory;
                // Torch asks who the user is; VLLM_UID may be one that the image does not know.
                service.AddEnvironmentalVariable("USER", "vllm");
                // "The model is loaded", not only "the port is open". The first start downloads and compiles.
                service.Healthcheck = new Healthcheck
                {
                    Test =
                    [
                        "CMD-SHELL",
                        "curl -fsS http://127.0.0.1:8000/health && curl -fsS -H \"Authorization: Bearer $$VLLM_API_KEY\" http://127.0.0.1:8000/v1/models | grep -qF '\"${VLLM_MODEL}\"'",
                    ],
                    Interval = "15s",
                    Timeout = "10s",
                    Retries = 3,
                    StartPeriod = "15m",
                };
            });
    }

    /// <summary>Publishes the dashboard. It has no health check: its image has nothing to ask with.</summary>
    public static IResourceBuilder<DockerComposeAspireDashboardResource> PublishHardened(
        this IResourceBuilder<DockerComposeAspireDashboardResource> builder) =>
        builder.PublishAsDockerComposeService((_, service) =>
        {
            Harden(service, ServiceUser, memory: "1g");
            // Keys that protect the browser's login cookie; a new container may forget them.
            service.Tmpfs.Add("/home/app:mode=1777");
        });

    private static void Harden(Service service, string user, string? memory)
    {
        service.User = user;
        service.ReadOnly = true;
        service.CapDrop = ["ALL"];
        service.SecurityOpt = ["no-new-privileges:true"];
        service.Tmpfs = ["/tmp:mode=1777"];
        service.Restart = "unless-stopped";
        // More than the 30 s that a .NET host gives its running requests.
        service.StopGracePeriod = "40s";
        service.Logging = new Logging { Driver = "json-file", Options = { ["max-size"] = "10m", ["max-file"] = "3" } };
        if (memory is not null)
        {
            service.Deploy = new Deploy { Resources = new Resources { Limits = new ResourceSpec { Memory = memory } } };
        }
    }

    private static void Mount(Service service, IResource resource)
    {
        foreach (var folder in resource.Annotations.OfType<VolumeFolderAnnotation>().Select(annotation => annotation.Folder).Distinct())
        {
            service.AddVolume(new Volume { Name = folder.ComposeSource, Type = "bind", Source = folder.ComposeSource, Target = folder.ContainerPath });
        }
    }
}
