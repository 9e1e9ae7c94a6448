namespace ChatHistory.AppHost.Vllm;

/// <summary>Where the model server comes from.</summary>
internal enum VllmMode
{
    /// <summary>vLLM in a container that this application starts.</summary>
    Container,

    /// <summary>An OpenAI-compatible server that already runs: <c>VLLM_ENDPOINT</c>.</summary>
    External,

    /// <summary>The simulator: no GPU, no download, and no real answers.</summary>
    Simulated,
}

/// <summary>Reads <c>Vllm:Mode</c> (auto, container, external, simulated) and <c>Vllm:Device</c> (gpu, cpu).</summary>
internal static class VllmModes
{
    public const string EndpointVariable = "VLLM_ENDPOINT";

    public static VllmMode Choose(IDistributedApplicationBuilder builder)
    {
        var hasEndpoint = !string.IsNullOrWhiteSpace(builder.Configuration[EndpointVariable]);
        var mode = Read<VllmMode>(builder, "Vllm:Mode", "auto");
        if (mode is VllmMode.External && !hasEndpoint)
        {
            throw new DistributedApplicationException($"Vllm:Mode is external, but {EndpointVariable} is not set. Set it, e.g. to http://localhost:8000.");
        }

        // A run falls back to the simulator, so that it never fails for want of a GPU. What is published is meant for another machine:
        // nothing that this one lacks can decide against the container.
        return mode ?? (hasEndpoint ? VllmMode.External
            : builder.ExecutionContext.IsPublishMode || ContainerGpuProbe.CanRunGpuContainers(builder.Configuration) ? VllmMode.Container
            : VllmMode.Simulated);
    }

    public static VllmDevice Device(IDistributedApplicationBuilder builder) =>
        Read<VllmDevice>(builder, "Vllm:Device", "gpu") ?? VllmDevice.Gpu;

    /// <summary>The configured name, or null for the default one.</summary>
    private static T? Read<T>(IDistributedApplicationBuilder builder, string key, string defaultName) where T : struct, Enum
    {
        var value = builder.Configuration[key];
        if (string.IsNullOrWhiteSpace(value) || string.Equals(value, defaultName, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var names = Enum.GetNames<T>();
        return names.Contains(value, StringComparer.OrdinalIgnoreCase)
            ? Enum.Parse<T>(value, ignoreCase: true)
            : throw new DistributedApplicationException(
                $"{key} is '{value}': it must be one of {string.Join(", ", names.Prepend(defaultName).Select(name => name.ToLowerInvariant()).Distinct())}.");
    }
}
