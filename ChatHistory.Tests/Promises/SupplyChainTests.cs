using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using ChatHistory.Tests.EndToEnd;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>What the services are made of is written down, by version and hash; and from where it comes is everybody's own choice.</summary>
[Trait(Promise.Trait, "S8")]
public sealed partial class SupplyChainTests(ITestOutputHelper output)
{
    private static readonly string[] s_locked = ["ChatHistory.Gateway", "ChatHistory.ServiceDefaults", "ChatHistory.StorageService", "ChatHistory.VllmSimulator"];

    [Fact]
    public void Services_AreLocked()
    {
        var promise = new Promise("S8", output);
        var all = new HashSet<string>();
        var central = Central().Matches(Read("Directory.Packages.props")).ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value, StringComparer.OrdinalIgnoreCase);
        foreach (var project in s_locked)
        {
            var text = Read(project, "packages.lock.json");
            Assert.DoesNotContain("Aspire.", text, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("://", text, StringComparison.Ordinal);
            using var file = JsonDocument.Parse(text);
            foreach (var package in file.RootElement.GetProperty("dependencies").EnumerateObject().SelectMany(target => target.Value.EnumerateObject()))
            {
                if (package.Value.GetProperty("type").GetString() == "Project")
                {
                    continue;
                }

                var version = package.Value.GetProperty("resolved").GetString()!;
                Assert.Equal(64, Convert.FromBase64String(package.Value.GetProperty("contentHash").GetString()!).Length);
                if (central.TryGetValue(package.Name, out var wanted) && !wanted.Contains('$', StringComparison.Ordinal))
                {
                    Assert.True(version == wanted, $"{project} is locked to {package.Name} {version}, Directory.Packages.props says {wanted}: dotnet restore ChatHistory.Services.slnf");
                }

                all.Add($"{package.Name} {version}");
            }
        }

        // Of what is built from other sources somewhere, the hash is another one there.
        Assert.Equal(s_locked.Order(StringComparer.Ordinal), Directory.EnumerateFiles(ServiceProcess.RepositoryRoot, "packages.lock.json", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 })
            .Select(path => Path.GetFileName(Path.GetDirectoryName(path)!)).Order(StringComparer.Ordinal));
        promise.Figure($"{all.Count} packages of {s_locked.Length} projects locked by version and SHA-512, no addresses");
    }

    [Fact]
    public void Repository_NamesNoFeed()
    {
        using var git = Process.Start(new ProcessStartInfo("git", ["ls-files"]) { WorkingDirectory = ServiceProcess.RepositoryRoot, RedirectStandardOutput = true })!;
        var files = git.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        git.WaitForExit();

        Assert.DoesNotContain(files, file => Path.GetFileName(file).ToLowerInvariant() is "nuget.config" or ".npmrc" or ".yarnrc");
        // npm's lock has "resolved" addresses unless it is told to leave them out.
        Assert.All(files.Where(file => Path.GetFileName(file) == "package-lock.json"), file =>
        {
            var text = Read(file);
            Assert.DoesNotContain("\"resolved\"", text, StringComparison.Ordinal);
            Assert.Contains("\"integrity\": \"sha512-", text, StringComparison.Ordinal);
        });
        Assert.All(files.Where(file => file.EndsWith(".csproj", StringComparison.Ordinal) || file.EndsWith(".props", StringComparison.Ordinal)), file =>
            Assert.DoesNotMatch("RestoreSources|RestoreAdditionalProjectSources|://[^\"<]*nuget", Read(file)));
        // Nor does any other file, whatever it is for.
        Assert.All(files.Where(file => !file.EndsWith(".png", StringComparison.Ordinal)), file => Assert.DoesNotMatch(@"://[^\s""'<>]*(api\.nuget\.org|registry\.npmjs\.org)", Read(file)));
        Assert.All(files.Where(file => file.EndsWith(".csproj", StringComparison.Ordinal)), file => Assert.DoesNotMatch("<PackageReference[^>]*Version=", Read(file)));
    }

    [NodeTheory]
    [InlineData("ChatHistory.Gateway")]
    [InlineData("ChatHistory.StorageService")]
    public void Sbom_ListsWhatIsLocked(string project)
    {
        var start = new ProcessStartInfo("node", [Path.Combine(ServiceProcess.RepositoryRoot, ".ci", "sbom.mjs"), project, "1.2.3"]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = ServiceProcess.RepositoryRoot };
        using var node = Process.Start(start)!;
        var text = node.StandardOutput.ReadToEnd();
        Assert.True(node.WaitForExit(30_000) && node.ExitCode == 0, node.StandardError.ReadToEnd());
        var sbom = JsonElement.Parse(text);
        var locked = JsonElement.Parse(Read(project, "packages.lock.json")).GetProperty("dependencies").EnumerateObject().SelectMany(target => target.Value.EnumerateObject())
            .Where(package => package.Value.GetProperty("type").GetString() != "Project")
            .Select(package => $"pkg:nuget/{package.Name}@{package.Value.GetProperty("resolved").GetString()}").Distinct().Order(StringComparer.Ordinal).ToArray();

        Assert.Equal(("CycloneDX", "1.6", project, "1.2.3"), (sbom.GetProperty("bomFormat").GetString(), sbom.GetProperty("specVersion").GetString(), sbom.GetProperty("metadata").GetProperty("component").GetProperty("name").GetString(), sbom.GetProperty("metadata").GetProperty("component").GetProperty("version").GetString()));
        Assert.Equal(locked, sbom.GetProperty("components").EnumerateArray().Select(component => component.GetProperty("purl").GetString()!).Order(StringComparer.Ordinal));
        Assert.All(sbom.GetProperty("components").EnumerateArray(), component => Assert.Equal(128, component.GetProperty("hashes")[0].GetProperty("content").GetString()!.Length));
        var references = sbom.GetProperty("components").EnumerateArray().Select(component => component.GetProperty("bom-ref").GetString()!).ToHashSet();
        Assert.All(sbom.GetProperty("dependencies").EnumerateArray().SelectMany(dependency => dependency.GetProperty("dependsOn").EnumerateArray()), reference => Assert.Contains(reference.GetString()!, references));
    }

    private static string Read(params string[] path) => File.ReadAllText(Path.Combine([ServiceProcess.RepositoryRoot, .. path]));

    [GeneratedRegex("""<PackageVersion Include="([^"]+)" Version="([^"]+)" />""")]
    private static partial Regex Central();
}
