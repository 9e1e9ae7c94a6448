using System.Globalization;
using ChatHistory.AppHost.Compose;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ChatHistory.AppHost.Vllm;

/// <summary>Provides extension methods for adding vLLM servers to the application model.</summary>
public static class VllmBuilderExtensions
{
    private const int ContainerPort = 8000;

    /// <summary>Adds a vLLM server that runs in a container.</summary>
    /// <remarks>
    /// It runs the <inheritdoc cref="VllmContainerImageTags.Tag"/> tag of the <inheritdoc cref="VllmContainerImageTags.CudaImage"/> image.
    /// The resource is healthy once the model is loaded, which takes minutes the first time.
    /// </remarks>
    /// <param name="builder">The <see cref="IDistributedApplicationBuilder"/>.</param>
    /// <param name="name">The name of the resource, for service discovery and as the name of its connection string.</param>
    /// <param name="model">The model to serve: an id on Hugging Face or a path in the container.</param>
    /// <param name="port">The host port, or <see langword="null"/> for a free one.</param>
    /// <returns>A reference to the <see cref="IResourceBuilder{VllmResource}"/>.</returns>
    public static IResourceBuilder<VllmResource> AddVllm(
        this IDistributedApplicationBuilder builder, [ResourceName] string name, string model, int? port = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        return builder.AddVllm(name, ReferenceExpression.Create($"{model}"), port);
    }

    /// <summary>Adds a vLLM server that runs in a container, with the model as a parameter.</summary>
    /// <param name="builder">The <see cref="IDistributedApplicationBuilder"/>.</param>
    /// <param name="name">The name of the resource, for service discovery and as the name of its connection string.</param>
    /// <param name="model">The parameter that names the model to serve.</param>
    /// <param name="port">The host port, or <see langword="null"/> for a free one.</param>
    /// <returns>A reference to the <see cref="IResourceBuilder{VllmResource}"/>.</returns>
    public static IResourceBuilder<VllmResource> AddVllm(
        this IDistributedApplicationBuilder builder, [ResourceName] string name, IResourceBuilder<ParameterResource> model, int? port = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return builder.AddVllm(name, ReferenceExpression.Create($"{model.Resource}"), port);
    }

    /// <summary>Runs vLLM on all NVIDIA GPUs of the host, or on its processor.</summary>
    /// <param name="builder">The resource builder.</param>
    /// <param name="device">The device.</param>
    /// <returns>The <see cref="IResourceBuilder{VllmResource}"/>.</returns>
    public static IResourceBuilder<VllmResource> WithDevice(this IResourceBuilder<VllmResource> builder, VllmDevice device) =>
        device is VllmDevice.Cpu ? builder.WithCpuSupport() : builder.WithGpuSupport();

    /// <summary>Runs the CUDA image with all NVIDIA GPUs of the host, in a run and in the published compose file.</summary>
    /// <param name="builder">The resource builder.</param>
    /// <returns>The <see cref="IResourceBuilder{VllmResource}"/>.</returns>
    public static IResourceBuilder<VllmResource> WithGpuSupport(this IResourceBuilder<VllmResource> builder)
    {
        ArgumentNullException.ThrowIfNull(builder);

        // The runtime arguments reach a run only; the annotation makes the compose file reserve the devices.
        return builder
            .WithImage(VllmContainerImageTags.CudaImage, VllmContainerImageTags.Tag)
            .WithContainerRuntimeArgs("--gpus", "all")
            .WithAnnotation(new ComposeGpuAnnotation(), ResourceAnnotationMutationBehavior.Replace);
    }

    /// <summary>Runs the CPU image.</summary>
    /// <param name="builder">The resource builder.</param>
    /// <param name="kvCacheGiB">Memory for the key-value cache, in GiB: on a processor vLLM does not find it out by itself.</param>
    /// <returns>The <see cref="IResourceBuilder{VllmResource}"/>.</returns>
    public static IResourceBuilder<VllmResource> WithCpuSupport(this IResourceBuilder<VllmResource> builder, int kvCacheGiB = 4)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentOutOfRangeException.ThrowIfLessThan(kvCacheGiB, 1);

        return builder
            .WithImage(VllmContainerImageTags.CpuImage, VllmContainerImageTags.Tag)
            .WithEnvironment("VLLM_CPU_KVCACHE_SPACE", kvCacheGiB.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Sets the Hugging Face token, for models that ask for one.</summary>
    /// <param name="builder">The resource builder.</param>
    /// <param name="token">The parameter that holds the token. A blank value is the same as none.</param>
    /// <returns>The <see cref="IResourceBuilder{VllmResource}"/>.</returns>
    public static IResourceBuilder<VllmResource> WithHfToken(
        this IResourceBuilder<VllmResource> builder, IResourceBuilder<ParameterResource> token)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.WithEnvironment("HF_TOKEN", token);
    }

    /// <summary>Sets the key that the server asks for, and that the connection string gives to its clients.</summary>
    /// <param name="builder">The resource builder.</param>
    /// <param name="apiKey">The parameter that holds the key. With a blank value the server asks for none.</param>
    /// <returns>The <see cref="IResourceBuilder{VllmResource}"/>.</returns>
    public static IResourceBuilder<VllmResource> WithApiKey(
        this IResourceBuilder<VllmResource> builder, IResourceBuilder<ParameterResource> apiKey)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(apiKey);

        builder.Resource.ApiKey = apiKey.Resource;

        // As a variable, not as --api-key: arguments show in process lists.
        return builder.WithEnvironment("VLLM_API_KEY", apiKey);
    }

    /// <summary>
    /// Lets requests name media (images, audio, video) on these hosts. By default a request can only carry media inside itself: the server
    /// stands in the internal network, and what it can be told to fetch there nobody has checked.
    /// </summary>
    /// <param name="builder">The resource builder.</param>
    /// <param name="domains">The host names.</param>
    /// <returns>The <see cref="IResourceBuilder{VllmResource}"/>.</returns>
    public static IResourceBuilder<VllmResource> WithAllowedMediaDomains(this IResourceBuilder<VllmResource> builder, params string[] domains)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(domains);

        return builder.WithAnnotation(new AllowedMediaDomainsAnnotation(domains), ResourceAnnotationMutationBehavior.Replace);
    }

    /// <summary>Keeps downloaded models and compiled kernels in a folder of the volume: without it every new container repeats both.</summary>
    internal static IResourceBuilder<VllmResource> WithModelCache(this IResourceBuilder<VllmResource> builder, VolumeFolder folder)
    {
        if (builder.ApplicationBuilder.ExecutionContext.IsRunMode)
        {
            Directory.CreateDirectory(folder.HostPath);
            builder.WithBindMount(folder.HostPath, folder.ContainerPath);
        }

        // HOME holds whatever else the libraries below vLLM compile and keep (Triton, FlashInfer, Inductor).
        return builder
            .WithEnvironment("HOME", folder.ContainerPath)
            .WithEnvironment("HF_HOME", $"{folder.ContainerPath}/huggingface")
            .WithEnvironment("VLLM_CACHE_ROOT", $"{folder.ContainerPath}/vllm")
            .WithAnnotation(new VolumeFolderAnnotation(folder));
    }

    private static IResourceBuilder<VllmResource> AddVllm(
        this IDistributedApplicationBuilder builder, string name, ReferenceExpression model, int? port)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(name);

        var vllm = new VllmResource(name, model);
        var healthCheck = $"{name}_model_loaded";
        builder.Services.AddHttpClient();
        builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(
            healthCheck,
            services => new VllmHealthCheck(vllm, services.GetRequiredService<IHttpClientFactory>()),
            failureStatus: null,
            tags: null));

        return builder.AddResource(vllm)
            .WithImage(VllmContainerImageTags.CudaImage, VllmContainerImageTags.Tag)
            .WithImageRegistry(VllmContainerImageTags.Registry)
            .WithIconName("BrainCircuit")
            .WithHttpEndpoint(port, ContainerPort, VllmResource.HttpEndpointName)
            .WithArgs(context => VllmArguments.AddAsync(context, vllm))
            // Several processes of vLLM share tensors here; the usual 64 MiB are too few to start.
            .WithContainerRuntimeArgs("--shm-size", VllmArguments.SharedMemory)
            // One request may ask for this many answers at once. vLLM's own default is 16384.
            .WithEnvironment("VLLM_MAX_N_SEQUENCES", "16")
            .WithEnvironment("VLLM_MEDIA_URL_ALLOW_REDIRECTS", "0")
            .WithEnvironment("VLLM_NO_USAGE_STATS", "1")
            .WithOtlpExporter()
            .WithHealthCheck(healthCheck)
            .WithUrlForEndpoint(VllmResource.HttpEndpointName, url => url.DisplayText = "vLLM");
    }
}
