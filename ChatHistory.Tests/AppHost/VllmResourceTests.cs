using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using ChatHistory.AppHost.Vllm;

namespace ChatHistory.Tests.AppHost;

public sealed class VllmResourceTests
{
    [Fact]
    public async Task Gpu_RunsTheCudaImageWithAllGpus()
    {
        var builder = DistributedApplication.CreateBuilder();
        var vllm = builder.AddVllm("vllm", "some/model").WithDevice(VllmDevice.Gpu).Resource;

        Assert.Equal("docker.io/vllm/vllm-openai:v0.29.0", Image(vllm));
        Assert.Equal(["--shm-size", "2gb", "--gpus", "all"], await RuntimeArgumentsAsync(vllm));
    }

    [Fact]
    public async Task Cpu_RunsTheCpuImageWithoutGpus()
    {
        var builder = DistributedApplication.CreateBuilder();
        var vllm = builder.AddVllm("vllm", "some/model").WithDevice(VllmDevice.Cpu).Resource;

        var (environment, _) = await vllm.ConfigurationAsync();

        Assert.Equal("docker.io/vllm/vllm-openai-cpu:v0.29.0", Image(vllm));
        Assert.Equal(["--shm-size", "2gb"], await RuntimeArgumentsAsync(vllm));
        Assert.Equal("4", environment["VLLM_CPU_KVCACHE_SPACE"]);
    }

    [Fact]
    public async Task Arguments_NameTheModelAndRefuseForeignMedia()
    {
        var builder = DistributedApplication.CreateBuilder();

        var (_, arguments) = await builder.AddVllm("vllm", "some/model").Resource.ConfigurationAsync();

        Assert.Equal(["some/model", "--allowed-media-domains", "invalid"], arguments);
    }

    [Fact]
    public async Task Arguments_AllowNamedMediaDomains()
    {
        var builder = DistributedApplication.CreateBuilder();
        var vllm = builder.AddVllm("vllm", "some/model").WithAllowedMediaDomains("images.example.org", "cdn.example.org");

        var (_, arguments) = await vllm.Resource.ConfigurationAsync();

        Assert.Equal(["some/model", "--allowed-media-domains", "images.example.org", "cdn.example.org"], arguments);
    }

    [Fact]
    public async Task Arguments_SendTracesWhereTheEnvironmentSays()
    {
        var builder = DistributedApplication.CreateBuilder(["--ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL=http://collector.example.org:4317"]);

        var (environment, arguments) = await builder.AddVllm("vllm", "some/model").Resource.ConfigurationAsync(DistributedApplicationOperation.Run);

        Assert.Equal("http://collector.example.org:4317", environment["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        Assert.Equal(["--otlp-traces-endpoint", "http://collector.example.org:4317"], arguments[^2..]);
    }

    [Fact]
    public async Task Environment_LimitsAndTokens()
    {
        var builder = DistributedApplication.CreateBuilder();
        var token = builder.AddParameter("hf-token", "hf_1", secret: true);
        var key = builder.AddParameter("key", "sk-1", secret: true);
        var vllm = builder.AddVllm("vllm", "some/model").WithHfToken(token).WithApiKey(key);

        var (environment, arguments) = await vllm.Resource.ConfigurationAsync();

        Assert.Equal("16", environment["VLLM_MAX_N_SEQUENCES"]);
        Assert.Equal("0", environment["VLLM_MEDIA_URL_ALLOW_REDIRECTS"]);
        Assert.Equal("{hf-token.value}", environment["HF_TOKEN"]);
        Assert.Equal("{key.value}", environment["VLLM_API_KEY"]);
        Assert.DoesNotContain(arguments, argument => argument.Contains("key", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void ConnectionString_HasEndpointKeyAndModel()
    {
        var builder = DistributedApplication.CreateBuilder();
        var model = builder.AddParameter("model", "some/model");
        var key = builder.AddParameter("key", "sk-1", secret: true);

        var open = builder.AddVllm("open", "some/model").Resource;
        var keyed = builder.AddVllm("keyed", model).WithApiKey(key).Resource;

        Assert.Equal("Endpoint={open.bindings.http.url}/v1;Model=some/model", open.ConnectionStringExpression.ValueExpression);
        Assert.Equal("Endpoint={keyed.bindings.http.url}/v1;Key={key.value};Model={model.value}", keyed.ConnectionStringExpression.ValueExpression);
    }

    [Fact]
    public void Endpoint_IsNeverPublished()
    {
        var builder = DistributedApplication.CreateBuilder();
        var endpoint = Assert.Single(builder.AddVllm("vllm", "some/model").Resource.Annotations.OfType<EndpointAnnotation>());

        Assert.Equal(8000, endpoint.TargetPort);
        Assert.Null(endpoint.Port);
        Assert.False(endpoint.IsExternal);
    }

    private static string? Image(VllmResource vllm) => vllm.TryGetContainerImageName(out var image) ? image : null;

    private static async Task<IList<object>> RuntimeArgumentsAsync(VllmResource vllm)
    {
        var arguments = new List<object>();
        foreach (var callback in vllm.Annotations.OfType<ContainerRuntimeArgsCallbackAnnotation>())
        {
            await callback.Callback(new ContainerRuntimeArgsCallbackContext(arguments));
        }

        return arguments;
    }
}
