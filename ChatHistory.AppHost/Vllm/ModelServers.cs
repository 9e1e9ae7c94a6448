using ChatHistory.AppHost.Compose;

namespace ChatHistory.AppHost.Vllm;

/// <summary>The model servers that are not a vLLM container, and how the gateway is told about each.</summary>
internal static class ModelServers
{
    /// <summary>Adds the server at <c>VLLM_ENDPOINT</c>: vLLM, llama.cpp, Ollama, or anything else that speaks OpenAI's API.</summary>
    public static IResourceBuilder<ExternalServiceResource> AddExternalVllm(this IDistributedApplicationBuilder builder, [ResourceName] string name)
    {
        var endpoint = builder.Configuration[VllmModes.EndpointVariable];
        return Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            ? builder.AddExternalService(name, uri).WithIconName("BrainCircuit")
                .WithAnnotation(new ComposeVariable(VllmModes.EndpointVariable, endpoint, "URL of your OpenAI-compatible server, as a container sees it."))
            : throw new DistributedApplicationException($"{VllmModes.EndpointVariable} is '{endpoint}': it must be a URL such as http://localhost:8000.");
    }

    /// <summary>Adds the simulator in the place of vLLM.</summary>
    public static IResourceBuilder<ProjectResource> AddVllmSimulator<TProject>(
        this IDistributedApplicationBuilder builder, [ResourceName] string name, IResourceBuilder<ParameterResource> model, VolumeFolder logs)
        where TProject : IProjectMetadata, new() =>
        builder.AddProject<TProject>(name)
            .WithEnvironment("Simulator__Model", model)
            .WithFolder("Logs__Directory", logs)
            .AsInnerService()
            .WithHttpHealthCheck("/health")
            .WithIconName("BrainCircuit")
            .PublishHardened();

    /// <summary>
    /// Tells the gateway its model server. A container and the simulator are found by service discovery; a server of yours by
    /// <c>Vllm__Endpoint</c>, because its URL may have a path.
    /// </summary>
    public static IResourceBuilder<ProjectResource> WithModelServer(
        this IResourceBuilder<ProjectResource> gateway,
        IResourceBuilder<IResource> server,
        IResourceBuilder<ParameterResource> model,
        IResourceBuilder<ParameterResource> apiKey)
    {
        // Only what the gateway reads: Aspire would add a second spelling of every value (VLLM_URI, VLLM_HTTP, STORAGE_GRPC, ...).
        gateway.WithReferenceEnvironment(ReferenceEnvironmentInjectionFlags.ConnectionString | ReferenceEnvironmentInjectionFlags.ServiceDiscovery);

        return server switch
        {
            IResourceBuilder<VllmResource> container => gateway
                .WithReference((IResourceBuilder<IResourceWithConnectionString>)container)
                .WithReference((IResourceBuilder<IResourceWithServiceDiscovery>)container),
            IResourceBuilder<ProjectResource> simulator => gateway
                .WithReference(simulator)
                .WithEnvironment("Vllm__Model", model),
            IResourceBuilder<ExternalServiceResource> external => gateway
                .WithReferenceRelationship(external)
                .WithEnvironment("Vllm__Endpoint", gateway.ApplicationBuilder.ExecutionContext.IsPublishMode
                    ? $"${{{VllmModes.EndpointVariable}}}"
                    : external.Resource.Uri!.OriginalString)
                .WithEnvironment("Vllm__ApiKey", apiKey)
                .WithEnvironment("Vllm__Model", model),
            _ => throw new ArgumentException($"'{server.Resource.Name}' is no model server.", nameof(server)),
        };
    }
}
