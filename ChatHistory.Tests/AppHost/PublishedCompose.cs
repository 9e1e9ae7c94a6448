using System.Diagnostics;
using ChatHistory.AppHost.Vllm;
using YamlDotNet.RepresentationModel;

namespace ChatHistory.Tests.AppHost;

/// <summary>The result of publishing the AppHost, by the command that README tells, into a folder of its own.</summary>
internal sealed class PublishedCompose : IDisposable
{
    /// <summary>A parameter without a value makes publishing wait for ever.</summary>
    private static readonly TimeSpan s_timeout = TimeSpan.FromMinutes(2);

    private readonly string _folder = Directory.CreateTempSubdirectory("chathistory-publish-").FullName;

    private PublishedCompose()
    {
    }

    public string File => System.IO.File.ReadAllText(Path.Combine(_folder, "docker-compose.yaml"));

    public string EnvironmentFile => System.IO.File.ReadAllText(Path.Combine(_folder, ".env"));

    public YamlMappingNode Root => Parse(File);

    public IEnumerable<(string Name, YamlMappingNode Node)> Services =>
        ((YamlMappingNode)Root["services"]).Children.Select(pair => (((YamlScalarNode)pair.Key).Value!, (YamlMappingNode)pair.Value));

    public YamlMappingNode Service(string name) => Services.Single(service => service.Name == name).Node;

    public static YamlMappingNode Parse(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return (YamlMappingNode)stream.Documents.Single().RootNode;
    }

    /// <summary>The text of a node, or null where there is none: <c>Text(service, "deploy", "resources")</c>.</summary>
    public static string? Text(YamlNode node, params string[] path)
    {
        YamlNode? current = node;
        foreach (var key in path)
        {
            current = current is YamlMappingNode mapping && mapping.Children.TryGetValue(key, out var child) ? child : null;
        }

        return current?.ToString();
    }

    public static async Task<PublishedCompose> CreateAsync(params string[] settings)
    {
        var published = new PublishedCompose();
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            ArgumentList =
            {
                typeof(VllmResource).Assembly.Location,
                "--operation", "publish", "--step", "publish", "--output-path", published._folder,
            },
        };
        foreach (var setting in settings)
        {
            start.ArgumentList.Add(setting);
        }

        foreach (var name in new[] { "VLLM_ENDPOINT", "VLLM_MODEL", "VLLM_API_KEY", "HF_TOKEN", "ADMIN_KEY", "OIDC_AUTHORITY", "OIDC_AUDIENCE", "GATEWAY_PORT", "ADMIN_PORT", "VOLUME_DIR", "Vllm__Mode", "Vllm__Device" })
        {
            start.Environment.Remove(name);
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var timeout = new CancellationTokenSource(s_timeout);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"Publishing did not end within {s_timeout.TotalSeconds:0} s:\n{await output}{await errors}");
        }

        // A failed step exits with 0 too: the file is the proof.
        Assert.True(System.IO.File.Exists(Path.Combine(published._folder, "docker-compose.yaml")), $"{await output}{await errors}");
        return published;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
