using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using ChatHistory.AppHost.Vllm;

namespace ChatHistory.Tests.AppHost;

public sealed class VllmModeTests
{
    private const string Endpoint = "https://models.example.org:8443/team/v1";

    [Fact]
    public async Task Auto_WithoutAnEngineIsSimulatedInARun()
    {
        await using var builder = await AppHostModel.RunModeAsync();

        Assert.EndsWith("ChatHistory.VllmSimulator.csproj", builder.Resource<ProjectResource>("vllm").GetProjectMetadata().ProjectPath, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Auto_IsAContainerWhenPublishing()
    {
        await using var builder = await AppHostModel.PublishModeAsync();

        builder.Resource<VllmResource>("vllm");
    }

    [Fact]
    public async Task Auto_IsExternalWithAnEndpoint()
    {
        await using var run = await AppHostModel.RunModeAsync($"--VLLM_ENDPOINT={Endpoint}");
        await using var publish = await AppHostModel.PublishModeAsync($"--VLLM_ENDPOINT={Endpoint}");

        run.Resource<ExternalServiceResource>("vllm");
        publish.Resource<ExternalServiceResource>("vllm");
    }

    [Fact]
    public async Task NamedMode_WinsOverAnEndpoint()
    {
        await using var builder = await AppHostModel.RunModeAsync($"--VLLM_ENDPOINT={Endpoint}", "--Vllm:Mode=Simulated");

        builder.Resource<ProjectResource>("vllm");
    }

    [Fact]
    public async Task External_GivesTheGatewayTheWholeUrl()
    {
        await using var builder = await AppHostModel.PublishModeAsync($"--VLLM_ENDPOINT={Endpoint}");

        var (environment, _) = await builder.Resource<ProjectResource>("gateway").ConfigurationAsync();

        Assert.Equal("${VLLM_ENDPOINT}", environment["Vllm__Endpoint"]);
        Assert.Equal("{vllm-model.value}", environment["Vllm__Model"]);
        Assert.Equal("{vllm-api-key.value}", environment["Vllm__ApiKey"]);
    }

    [Fact]
    public async Task Simulated_GivesBothSidesTheSameModel()
    {
        await using var builder = await AppHostModel.PublishModeAsync("--Vllm:Mode=simulated");

        var (gateway, _) = await builder.Resource<ProjectResource>("gateway").ConfigurationAsync();
        var (simulator, _) = await builder.Resource<ProjectResource>("vllm").ConfigurationAsync();

        Assert.Equal("{vllm.bindings.http.url}", gateway["services__vllm__http__0"]);
        Assert.Equal(gateway["Vllm__Model"], simulator["Simulator__Model"]);
    }

    [Theory]
    [InlineData("Vllm:Mode is external, but VLLM_ENDPOINT is not set", "--Vllm:Mode=external")]
    [InlineData("VLLM_ENDPOINT is 'localhost:8000': it must be a URL", "--VLLM_ENDPOINT=localhost:8000")]
    [InlineData("Vllm:Mode is 'remote': it must be one of auto, container, external, simulated", "--Vllm:Mode=remote")]
    [InlineData("Vllm:Device is 'tpu': it must be one of gpu, cpu", "--Vllm:Mode=container", "--Vllm:Device=tpu")]
    public async Task WrongSetting_IsExplained(string expected, params string[] settings)
    {
        var exception = await Assert.ThrowsAsync<DistributedApplicationException>(() => AppHostModel.RunModeAsync(settings));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }
}
