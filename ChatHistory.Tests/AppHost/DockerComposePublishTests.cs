using YamlDotNet.RepresentationModel;

namespace ChatHistory.Tests.AppHost;

public sealed class DockerComposePublishTests
{
    private const string Reserved = "[ { { driver, nvidia }, { count, all }, { capabilities, [ gpu ] } } ]";

    [Fact]
    public async Task CheckedInCopy_IsWhatPublishingWrites()
    {
        using var published = await PublishedCompose.CreateAsync();

        Assert.Equal(await ReadCheckedInAsync("docker-compose.yaml"), published.File);
        Assert.Equal(await ReadCheckedInAsync(".env.example"), published.EnvironmentFile);
    }

    [Fact]
    public async Task Services_AreHardened()
    {
        using var published = await PublishedCompose.CreateAsync();

        Assert.All(published.Services, service =>
        {
            Assert.Equal("true", PublishedCompose.Text(service.Node, "read_only"));
            Assert.Equal(["ALL"], Items(service.Node, "cap_drop"));
            Assert.Equal(["no-new-privileges:true"], Items(service.Node, "security_opt"));
            Assert.NotNull(PublishedCompose.Text(service.Node, "deploy", "resources", "limits", "pids"));
            Assert.Null(PublishedCompose.Text(service.Node, "privileged"));
            Assert.DoesNotContain(Items(service.Node, "volumes"), mount => mount.Contains("docker.sock", StringComparison.Ordinal));
        });

        // Only the service that gives the folders to the others is root, without a network, and only for a moment.
        var root = Assert.Single(published.Services, service => PublishedCompose.Text(service.Node, "user") is null or "0:0");
        Assert.Equal("volume-init", root.Name);
        Assert.Equal("none", PublishedCompose.Text(root.Node, "network_mode"));
        Assert.Equal("no", PublishedCompose.Text(root.Node, "restart"));
        Assert.All(published.Services.Where(service => service.Name != root.Name), service =>
        {
            Assert.Empty(Items(service.Node, "cap_add"));
            Assert.Equal("unless-stopped", PublishedCompose.Text(service.Node, "restart"));
            Assert.NotNull(PublishedCompose.Text(service.Node, "stop_grace_period"));
            Assert.NotEmpty(Items(service.Node, "tmpfs"));
        });
    }

    [Fact]
    public async Task Ports_AreOnLoopbackAndOnlyOfTheGatewayAndTheDashboard()
    {
        using var published = await PublishedCompose.CreateAsync();

        var ports = published.Services.SelectMany(service => Items(service.Node, "ports").Select(port => (service.Name, port)));
        Assert.Equal(
            [
                ("chathistory-dashboard", "127.0.0.1:${DASHBOARD_PORT:-18888}:18888"),
                ("gateway", "${GATEWAY_ADDRESS:-127.0.0.1}:${GATEWAY_PORT:-8080}:8080"),
                ("gateway", "127.0.0.1:${ADMIN_PORT:-8079}:8079"),
            ],
            ports);
        Assert.Equal("${GATEWAY_ADDRESS:-127.0.0.1}", PublishedCompose.Text(published.Service("gateway"), "environment", "Identity__PublishedOn"));
        Assert.Equal("127.0.0.1", PublishedCompose.Text(published.Service("gateway"), "environment", "Identity__AdminPublishedOn"));
        Assert.Equal("http://*:8079", PublishedCompose.Text(published.Service("gateway"), "environment", "Kestrel__Endpoints__admin__Url"));
    }

    [Fact]
    public async Task Storage_IsOnAnInternalNetworkOnly()
    {
        using var published = await PublishedCompose.CreateAsync();

        Assert.Equal(["backend"], Items(published.Service("storage"), "networks"));
        Assert.Equal("true", PublishedCompose.Text(published.Root, "networks", "backend", "internal"));
    }

    [Fact]
    public async Task Volume_IsTheSeedsLayout()
    {
        using var published = await PublishedCompose.CreateAsync();

        Assert.Equal(["./volume/db:/app/data", "./volume/logs:/app/logs"], Items(published.Service("storage"), "volumes"));
        Assert.Equal(["./volume/logs:/app/logs"], Items(published.Service("gateway"), "volumes"));
        Assert.Equal(["./volume/models:/app/models"], Items(published.Service("vllm"), "volumes"));
    }

    [Theory]
    [InlineData("gateway")]
    [InlineData("storage")]
    [InlineData("vllm")]
    public async Task Stop_LeavesTheDashboardUntilTheLastTelemetryIsSent(string name)
    {
        using var published = await PublishedCompose.CreateAsync();

        Assert.Equal("service_started", PublishedCompose.Text(published.Service(name), "depends_on", "chathistory-dashboard", "condition"));
    }

    [Fact]
    public async Task Start_WaitsForHealthyStorageButNotForTheModel()
    {
        using var published = await PublishedCompose.CreateAsync();

        var gateway = published.Service("gateway");
        Assert.Equal("service_healthy", PublishedCompose.Text(gateway, "depends_on", "storage", "condition"));
        Assert.Equal("service_started", PublishedCompose.Text(gateway, "depends_on", "vllm", "condition"));
        Assert.Equal("service_completed_successfully", PublishedCompose.Text(gateway, "depends_on", "volume-init", "condition"));
        Assert.Equal("15m", PublishedCompose.Text(published.Service("vllm"), "healthcheck", "start_period"));
        Assert.Equal(["CMD", "dotnet", "/app/ChatHistory.Gateway.dll", "--healthcheck"], Items(gateway["healthcheck"], "test"));
    }

    [Fact]
    public async Task Gpu_IsReservedForTheCudaImageOnly()
    {
        using var gpu = await PublishedCompose.CreateAsync();
        using var cpu = await PublishedCompose.CreateAsync("--Vllm:Device=cpu");

        Assert.Equal(Reserved, PublishedCompose.Text(gpu.Service("vllm"), "deploy", "resources", "reservations", "devices"));
        Assert.Equal("${VLLM_IMAGE:-docker.io/vllm/vllm-openai:v0.29.0}", PublishedCompose.Text(gpu.Service("vllm"), "image"));
        Assert.Null(PublishedCompose.Text(cpu.Service("vllm"), "deploy", "resources", "reservations"));
        Assert.Equal("${VLLM_IMAGE:-docker.io/vllm/vllm-openai-cpu:v0.29.0}", PublishedCompose.Text(cpu.Service("vllm"), "image"));
    }

    [Fact]
    public async Task External_HasNoModelServerOfItsOwn()
    {
        using var published = await PublishedCompose.CreateAsync("--VLLM_ENDPOINT=https://models.example.org/v1");

        Assert.DoesNotContain(published.Services, service => service.Name == "vllm");
        Assert.Equal(
            "${VLLM_ENDPOINT:-https://models.example.org/v1}",
            PublishedCompose.Text(published.Service("gateway"), "environment", "Vllm__Endpoint"));
    }

    [Fact]
    public async Task Secrets_AreNeverWritten()
    {
        const string Secret = "a-value-that-must-not-leak";

        using var published = await PublishedCompose.CreateAsync(
            $"--ADMIN_KEY={Secret}", $"--VLLM_API_KEY={Secret}", $"--Parameters:hf-token={Secret}");

        Assert.DoesNotContain(Secret, published.File + published.EnvironmentFile, StringComparison.Ordinal);
    }

    private static string[] Items(YamlNode node, string key) =>
        ((YamlMappingNode)node).Children.TryGetValue(key, out var items) ? [.. ((YamlSequenceNode)items).Children.Select(item => item.ToString())] : [];

    private static Task<string> ReadCheckedInAsync(string file) =>
        File.ReadAllTextAsync(Path.Combine(Projects.ChatHistory_AppHost.ProjectPath, "..", "deploy", file));
}
