using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using ChatHistory.AppHost.Vllm;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ChatHistory.Tests.AppHost;

public sealed class VllmHealthCheckTests
{
    // As vLLM sends it, shortened.
    private const string Models = """{"object":"list","data":[{"id":"some/model","object":"model","created":1,"owned_by":"vllm","root":"some/model","max_model_len":40960}]}""";

    [Fact]
    public async Task LoadedModel_IsHealthy()
    {
        Assert.Equal(HealthStatus.Healthy, await CheckAsync(200, Models));
    }

    [Theory]
    [InlineData(503, Models)]
    [InlineData(200, """{"object":"list","data":[]}""")]
    [InlineData(200, """{"object":"list","data":[{"id":"other/model"}]}""")]
    [InlineData(200, "<html>")]
    public async Task AnythingElse_IsUnhealthy(int health, string models)
    {
        Assert.Equal(HealthStatus.Unhealthy, await CheckAsync(health, models));
    }

    [Fact]
    public async Task Key_IsSentToTheModelList()
    {
        Assert.Equal(HealthStatus.Healthy, await CheckAsync(200, Models, requiredKey: "sk-1", key: "sk-1"));
        Assert.Equal(HealthStatus.Unhealthy, await CheckAsync(200, Models, requiredKey: "sk-1", key: ""));
    }

    [Fact]
    public async Task NoAddressYet_IsUnhealthy()
    {
        var builder = DistributedApplication.CreateBuilder();
        var vllm = builder.AddVllm("vllm", "some/model").Resource;

        Assert.Equal(HealthStatus.Unhealthy, await CheckAsync(vllm));
    }

    private static async Task<HealthStatus> CheckAsync(int health, string models, string? requiredKey = null, string? key = null)
    {
        await using var server = await StartServerAsync(health, models, requiredKey);
        var builder = DistributedApplication.CreateBuilder();
        var vllm = builder.AddVllm("vllm", "some/model");
        if (key is not null)
        {
            vllm.WithApiKey(builder.AddParameter("key", key, secret: true));
        }

        var endpoint = vllm.Resource.Annotations.OfType<EndpointAnnotation>().Single();
        endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "127.0.0.1", new Uri(server.Urls.Single()).Port);
        return await CheckAsync(vllm.Resource);
    }

    private static async Task<HealthStatus> CheckAsync(VllmResource vllm)
    {
        await using var services = new ServiceCollection().AddHttpClient().BuildServiceProvider();
        var check = new VllmHealthCheck(vllm, services.GetRequiredService<IHttpClientFactory>());
        return (await check.CheckHealthAsync(new HealthCheckContext())).Status;
    }

    private static async Task<WebApplication> StartServerAsync(int health, string models, string? requiredKey)
    {
        var builder = WebApplication.CreateSlimBuilder();
        // Nothing from the test folder's appsettings.json: it is one of the services' own, and names a port.
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection();
        var server = builder.Build();
        server.Urls.Add(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{0}"));
        server.MapGet("/health", () => Results.StatusCode(health));
        server.MapGet("/v1/models", (HttpRequest request) =>
            requiredKey is null || request.Headers.Authorization == $"Bearer {requiredKey}"
                ? Results.Text(models, "application/json")
                : Results.Unauthorized());
        await server.StartAsync();
        return server;
    }
}
