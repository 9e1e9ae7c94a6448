using System.Text.RegularExpressions;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;
using YamlDotNet.RepresentationModel;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// What the Docker Compose file that people start says of every service, whoever published it, and of services that are added later. It is the checked-in
/// file that is read, so this needs no Aspire; that publishing writes this very file, AppHost/DockerComposePublishTests.cs sees to.
/// </summary>
[Trait(Promise.Trait, "S7")]
public sealed partial class ComposeFileTests(ITestOutputHelper output)
{
    /// <summary>Gives the volume's folders to the others: root, for a moment, without a network.</summary>
    private const string Initial = "volume-init";

    // What a model needs is for its owner to know. The other one runs chown, and is over.
    private static readonly string[] s_withoutMemoryLimit = ["vllm", Initial];

    private readonly YamlMappingNode _file = Read("docker-compose.yaml");

    private IEnumerable<(string Name, YamlMappingNode Node)> Services =>
        ((YamlMappingNode)_file["services"]).Children.Select(service => (((YamlScalarNode)service.Key).Value!, (YamlMappingNode)service.Value));

    [Fact]
    public void EveryService_IsHardened()
    {
        var promise = new Promise("S7", output);
        Assert.Subset(Services.Select(service => service.Name).ToHashSet(), new HashSet<string> { "gateway", "storage", "vllm", "chathistory-dashboard", Initial });
        foreach (var (name, service) in Services)
        {
            Assert.True(Text(service, "read_only") == "true", $"{name} can write to its root");
            Assert.True(Items(service, "cap_drop") is ["ALL"], $"{name} keeps capabilities");
            Assert.True(Items(service, "security_opt") is ["no-new-privileges:true"], $"{name} can get privileges");
            Assert.True(int.TryParse(Text(service, "deploy", "resources", "limits", "pids"), out var pids) && pids is > 0 and <= 4096, $"{name} has no limit of processes");
            Assert.True(Text(service, "deploy", "resources", "limits", "memory") is not null || s_withoutMemoryLimit.Contains(name), $"{name} has no limit of memory");
            foreach (var forbidden in new[] { "privileged", "pid", "ipc", "userns_mode", "cgroup", "devices", "device_cgroup_rules", "sysctls", "extra_hosts", "env_file", "container_name", "uts" })
            {
                Assert.True(Text(service, forbidden) is null, $"{name} has {forbidden}");
            }

            Assert.All(Items(service, "volumes"), volume => Assert.Matches("^\\./volume/[a-z]+:/app/[a-z]+(:ro)?$", volume));
            if (name == Initial)
            {
                Assert.Equal(("0:0", "none", "no"), (Text(service, "user"), Text(service, "network_mode"), Text(service, "restart")));
                Assert.Subset(new HashSet<string> { "CHOWN", "DAC_OVERRIDE", "FOWNER" }, Items(service, "cap_add").ToHashSet());
                continue;
            }

            Assert.Empty(Items(service, "cap_add"));
            Assert.Null(Text(service, "network_mode"));
            Assert.True(User().IsMatch(Text(service, "user") ?? ""), $"{name} runs as '{Text(service, "user")}'");
            Assert.True(Items(service, "tmpfs").Any(mount => mount.StartsWith("/tmp:", StringComparison.Ordinal)), $"{name} has no /tmp");
            Assert.Equal("unless-stopped", Text(service, "restart"));
            Assert.NotNull(Text(service, "logging", "options", "max-size"));
        }

        promise.Figure($"{Services.Count()} services of the compose file: ordinary users but {Initial}, read-only, no capabilities, no new privileges, limits of processes, limits of memory but {string.Join(" and ", s_withoutMemoryLimit)}");
    }

    [Fact]
    public void OnlyTheDoors_ArePublished()
    {
        var ports = Services.SelectMany(service => Items(service.Node, "ports").Select(port => (service.Name, Port: port))).ToArray();

        Assert.All(ports, published => Assert.Contains(published.Name, new[] { "gateway", "chathistory-dashboard" }));
        // The API may be published elsewhere by a setting; everything else, such as /admin, on loopback alone.
        Assert.All(ports.Where(published => published.Port != "${GATEWAY_ADDRESS:-127.0.0.1}:${GATEWAY_PORT:-8080}:8080"), published => Assert.StartsWith("127.0.0.1:", published.Port, StringComparison.Ordinal));
        Assert.Contains(ports, published => published.Name == "gateway");
        Assert.Equal("true", Text(_file, "networks", "backend", "internal"));
        Assert.Equal(["backend"], Items(Services.Single(service => service.Name == "storage").Node, "networks"));
        Assert.All(Services, service => Assert.DoesNotContain("host", Items(service.Node, "networks")));
    }

    [Fact]
    public void Images_AreNamedByAVersion()
    {
        foreach (var (name, service) in Services)
        {
            // ${GATEWAY_IMAGE:-chathistory-gateway:latest}
            var image = Default().Replace(Text(service, "image")!, match => match.Groups[1].Value);
            // Our own are made on this machine and pulled from nowhere; a release names them by its version (docs/decisions/0024).
            Assert.True(image.StartsWith("chathistory-", StringComparison.Ordinal) || Versioned().IsMatch(image), $"{name} runs {image}: name a version, or a digest");
        }
    }

    [Fact]
    public void Secrets_HaveNoValues()
    {
        var example = File.ReadAllLines(Path.Combine(ServiceProcess.RepositoryRoot, "deploy", ".env.example")).Where(line => line.Length > 0 && line[0] != '#');
        Assert.All(example, line => Assert.EndsWith("=", line, StringComparison.Ordinal));
        foreach (var (name, service) in Services.Where(found => found.Node.Children.ContainsKey("environment")))
        {
            foreach (var (key, value) in ((YamlMappingNode)service["environment"]).Children)
            {
                if (SecretName().IsMatch(key.ToString()))
                {
                    Assert.True(value.ToString() is "" || Blank().IsMatch(value.ToString()), $"{name} has a value for {key}");
                }

                Assert.DoesNotMatch("(?i)(Key|Password|Token)=[^;$]", value.ToString());
            }

            Assert.NotEqual("true", Text(service, "environment", "ASPNETCORE_FORWARDEDHEADERS_ENABLED"));
        }

        var vllm = Items(Services.Single(service => service.Name == "vllm").Node, "command");
        Assert.Equal("invalid", vllm[Array.IndexOf(vllm, "--allowed-media-domains") + 1]);
        Assert.DoesNotContain("--trust-remote-code", vllm);
        Assert.Equal("0", Text(Services.Single(service => service.Name == "vllm").Node, "environment", "VLLM_MEDIA_URL_ALLOW_REDIRECTS"));
    }

    private static YamlMappingNode Read(string file)
    {
        var stream = new YamlStream();
        using var text = File.OpenText(Path.Combine(ServiceProcess.RepositoryRoot, "deploy", file));
        stream.Load(text);
        return (YamlMappingNode)stream.Documents.Single().RootNode;
    }

    private static string? Text(YamlNode node, params string[] path)
    {
        YamlNode? current = node;
        foreach (var key in path)
        {
            current = current is YamlMappingNode mapping && mapping.Children.TryGetValue(key, out var child) ? child : null;
        }

        return current?.ToString();
    }

    private static string[] Items(YamlMappingNode node, string key) =>
        node.Children.TryGetValue(key, out var items) ? items is YamlSequenceNode list ? [.. list.Children.Select(item => item.ToString())] : [.. ((YamlMappingNode)items).Children.Keys.Select(item => item.ToString())] : [];

    // ${APP_UID:-1654}:${APP_GID:-1654}: a number, and not root's.
    [GeneratedRegex(@"^(\$\{[A-Z_]+:-)?[1-9][0-9]{2,}\}?:(\$\{[A-Z_]+:-)?[0-9]+\}?$")]
    private static partial Regex User();

    [GeneratedRegex(@"\$\{[A-Z_]+:-([^}]*)\}")]
    private static partial Regex Default();

    [GeneratedRegex(@":v?[0-9]+(\.[0-9]+){1,3}(-[a-z0-9.]+)?$|@sha256:[0-9a-f]{64}$")]
    private static partial Regex Versioned();

    [GeneratedRegex(@"(?i)(^|_)(key|token|secret|password|api_?key|admin_?key)$|AdminKey|ApiKey")]
    private static partial Regex SecretName();

    [GeneratedRegex(@"^\$\{[A-Z_]+:-\}$")]
    private static partial Regex Blank();
}
