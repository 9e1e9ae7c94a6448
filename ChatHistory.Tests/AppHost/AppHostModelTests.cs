using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using ChatHistory.AppHost.Vllm;

namespace ChatHistory.Tests.AppHost;

public sealed class AppHostModelTests
{
    [Fact]
    public async Task Model_HasStorageModelServerAndGateway()
    {
        await using var builder = await AppHostModel.RunModeAsync("--Vllm:Mode=container");

        builder.Resource<ProjectResource>("storage");
        builder.Resource<ProjectResource>("gateway");
        builder.Resource<VllmResource>("vllm");
    }

    [Fact]
    public async Task Gateway_HasTheOnlyExternalEndpoint()
    {
        await using var builder = await AppHostModel.RunModeAsync("--Vllm:Mode=container");

        var external = builder.Resources
            .SelectMany(resource => resource.Annotations.OfType<EndpointAnnotation>().Where(endpoint => endpoint.IsExternal).Select(endpoint => (resource.Name, endpoint.Name)));
        Assert.Equal([("gateway", "http")], external);
    }

    [Fact]
    public async Task Gateway_WaitsForHealthyStorageAndForAStartedModelServer()
    {
        await using var builder = await AppHostModel.RunModeAsync("--Vllm:Mode=container");

        var waits = builder.Resource<ProjectResource>("gateway").Annotations.OfType<WaitAnnotation>()
            .ToDictionary(wait => wait.Resource.Name, wait => wait.WaitType);
        Assert.Equal(WaitType.WaitUntilHealthy, waits["storage"]);
        Assert.Equal(WaitType.WaitUntilStarted, waits["vllm"]);
    }

    [Fact]
    public async Task Gateway_FindsItsServicesByName()
    {
        await using var builder = await AppHostModel.PublishModeAsync();

        var (environment, _) = await builder.Resource<ProjectResource>("gateway").ConfigurationAsync();

        Assert.Equal("{storage.bindings.grpc.url}", environment["services__storage__grpc__0"]);
        Assert.Equal("{vllm.bindings.http.url}", environment["services__vllm__http__0"]);
        Assert.Equal("{vllm.connectionString}", environment["ConnectionStrings__vllm"]);
        Assert.Equal("{admin-key.value}", environment["Identity__AdminKey"]);
        Assert.Equal("{oidc-authority.value}", environment["Identity__Oidc__Authority"]);
        Assert.Equal("{oidc-audience.value}", environment["Identity__Oidc__Audience"]);
        Assert.Equal("${GATEWAY_ADDRESS}", environment["Identity__PublishedOn"]);
    }

    [Fact]
    public async Task Gateway_KeepsMessageContentOutOfTelemetryUntilAsked()
    {
        await using var silent = await AppHostModel.PublishModeAsync();
        await using var asked = await AppHostModel.PublishModeAsync("--OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true");

        var (off, _) = await silent.Resource<ProjectResource>("gateway").ConfigurationAsync();
        var (on, _) = await asked.Resource<ProjectResource>("gateway").ConfigurationAsync();

        Assert.Equal("false", off["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"]);
        Assert.Equal("true", on["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"]);
    }

    [Theory]
    [InlineData("", "", 8080, 8079)]
    [InlineData("9090", "", 9090, 9089)]
    [InlineData("9090", "9900", 9090, 9900)]
    public async Task Gateway_ListensOnItsPorts(string configured, string configuredForAdmin, int expected, int expectedForAdmin)
    {
        await using var builder = await AppHostModel.RunModeAsync($"--GATEWAY_PORT={configured}", $"--ADMIN_PORT={configuredForAdmin}");

        var gateway = builder.Resource<ProjectResource>("gateway");
        Assert.Equal((expected, expectedForAdmin), (Port(gateway, "http"), Port(gateway, "admin")));
    }

    [Fact]
    public async Task Gateway_RefusesAPortThatIsNone()
    {
        var exception = await Assert.ThrowsAsync<DistributedApplicationException>(() => AppHostModel.RunModeAsync("--GATEWAY_PORT=http"));

        Assert.Contains("GATEWAY_PORT is 'http'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InnerServices_TakeFreePortsInARun()
    {
        await using var builder = await AppHostModel.RunModeAsync("--Vllm:Mode=simulated");

        Assert.Null(Port(builder.Resource<ProjectResource>("storage"), "grpc"));
        Assert.Null(Port(builder.Resource<ProjectResource>("storage"), "http"));
        Assert.Null(Port(builder.Resource<ProjectResource>("vllm"), "http"));
    }

    [Fact]
    public async Task Volume_IsBelowTheRepositoryUnlessNamed()
    {
        var named = Path.Combine(Path.GetTempPath(), "chathistory-volume");
        await using var byDefault = await AppHostModel.RunModeAsync();
        await using var configured = await AppHostModel.RunModeAsync($"--VOLUME_DIR={named}");

        var repository = Path.GetFullPath(Path.Combine(byDefault.AppHostDirectory, ".."));
        Assert.Equal(Path.Combine(repository, "volume", "db", "chat.db"), await DatabasePathAsync(byDefault));
        Assert.Equal(Path.Combine(named, "db", "chat.db"), await DatabasePathAsync(configured));
    }

    [Fact]
    public async Task Parameters_AllHaveAValueAndADescription()
    {
        await using var builder = await AppHostModel.PublishModeAsync();

        var parameters = builder.Resources.OfType<ParameterResource>().ToDictionary(parameter => parameter.Name);
        Assert.Equal(["admin-key", "hf-token", "oidc-audience", "oidc-authority", "vllm-api-key", "vllm-model"], parameters.Keys.Order());
        Assert.All(parameters.Values, parameter => Assert.False(string.IsNullOrEmpty(parameter.Description)));
        Assert.Equal("Qwen/Qwen3-0.6B", await parameters["vllm-model"].GetValueAsync(CancellationToken.None));
        foreach (var blank in parameters.Values.Where(parameter => parameter.Name is not "vllm-model"))
        {
            Assert.Equal(blank.Name is "admin-key" or "hf-token" or "vllm-api-key", blank.Secret);
            Assert.Equal("", await blank.GetValueAsync(CancellationToken.None));
        }
    }

    [Fact]
    public async Task Parameters_AreReadFromParametersThenFromTheEnvironment()
    {
        await using var environment = await AppHostModel.RunModeAsync("--VLLM_MODEL=from/environment");
        await using var both = await AppHostModel.RunModeAsync("--VLLM_MODEL=from/environment", "--Parameters:vllm-model=from/parameters");

        Assert.Equal("from/environment", await environment.Resource<ParameterResource>("vllm-model").GetValueAsync(CancellationToken.None));
        Assert.Equal("from/parameters", await both.Resource<ParameterResource>("vllm-model").GetValueAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Gateway_HasCommandsForBackups_OnItsAdminListener()
    {
        await using var builder = await AppHostModel.RunModeAsync();

        var commands = builder.Resource<ProjectResource>("gateway").Annotations.OfType<ResourceCommandAnnotation>().ToDictionary(command => command.DisplayName);

        Assert.Equal("gateway-admin-http-post-/admin/backups", commands["Back up now"].Name);
        Assert.Null(commands["Back up now"].ConfirmationMessage);
        Assert.Equal("gateway-admin-http-post-/admin/backups/latest/restore", commands["Restore the latest backup"].Name);
        Assert.Contains("Restore?", commands["Restore the latest backup"].ConfirmationMessage, StringComparison.Ordinal);
    }

    private static int? Port(ProjectResource resource, string endpoint) =>
        resource.Annotations.OfType<EndpointAnnotation>().Single(annotation => annotation.Name == endpoint).Port;

    private static async Task<string> DatabasePathAsync(IDistributedApplicationBuilder builder)
    {
        var environment = new EnvironmentCallbackContext(
            builder.ExecutionContext, builder.Resources.Single(resource => resource.Name == "storage"));
        foreach (var callback in environment.Resource.Annotations.OfType<EnvironmentCallbackAnnotation>())
        {
            await callback.Callback(environment);
        }

        return (string)environment.EnvironmentVariables["Database__Path"];
    }
}
