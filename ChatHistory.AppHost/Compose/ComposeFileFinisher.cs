using System.Globalization;
using Aspire.Hosting.Docker;
using Aspire.Hosting.Pipelines;
using Microsoft.Extensions.DependencyInjection;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace ChatHistory.AppHost.Compose;

/// <summary>
/// Adds what Aspire's model of a compose file cannot say: device reservations, a limit on processes, and mounts in the short form, which
/// creates missing folders. It edits the written file and may run on its own result.
/// </summary>
/// <remarks>To be removed when <c>ResourceSpec</c> of Aspire.Hosting.Docker has devices and pids.</remarks>
internal static class ComposeFileFinisher
{
    private const string Header =
        """
        # Written by publishing ChatHistory.AppHost. Change the AppHost, not this file.
        #   docker compose up -d        starts everything; every variable has a default, .env overrides it
        # The gateway waits for storage to be healthy, but not for vLLM's model: the history can be read while the model loads.

        """;

    public static IResourceBuilder<DockerComposeEnvironmentResource> WithFinishedComposeFile(
        this IResourceBuilder<DockerComposeEnvironmentResource> environment)
    {
        // In a run there is no environment and so no step to come after.
        if (environment.ApplicationBuilder.ExecutionContext.IsPublishMode)
        {
            environment.ApplicationBuilder.Pipeline.AddStep(
                "finish-compose-file",
                FinishAsync,
                dependsOn: $"publish-{environment.Resource.Name}",
                requiredBy: WellKnownPipelineSteps.Publish);
        }

        return environment;
    }

    private static async Task FinishAsync(PipelineStepContext context)
    {
        var path = Path.Combine(context.Services.GetRequiredService<IPipelineOutputService>().GetOutputDirectory(), "docker-compose.yaml");
        var finished = Finish(await File.ReadAllTextAsync(path, context.CancellationToken), context.Model.Resources);
        await File.WriteAllTextAsync(path, finished, context.CancellationToken);
    }

    internal static string Finish(string composeFile, IEnumerable<IResource> resources)
    {
        var resourcesByName = resources.ToDictionary(resource => resource.Name);
        var stream = new YamlStream();
        stream.Load(new StringReader(composeFile));
        var services = (YamlMappingNode)stream.Documents[0].RootNode["services"];
        foreach (var (name, node) in services.Children)
        {
            var service = (YamlMappingNode)node;
            var annotations = resourcesByName.GetValueOrDefault(name.ToString())?.Annotations ?? [];
            var pids = annotations.OfType<ComposePidsAnnotation>().LastOrDefault()?.Limit ?? ComposePidsAnnotation.Default;
            var deployed = Child(Child(service, "deploy"), "resources");
            Child(deployed, "limits").Children["pids"] = new YamlScalarNode(pids.ToString(CultureInfo.InvariantCulture));
            if (annotations.OfType<ComposeGpuAnnotation>().Any())
            {
                Child(deployed, "reservations").Children["devices"] = new YamlSequenceNode(new YamlMappingNode(
                    "driver", "nvidia",
                    "count", "all",
                    "capabilities", new YamlSequenceNode("gpu") { Style = SequenceStyle.Flow }));
            }

            ShortenMounts(service);
        }

        return Header + Write(stream);
    }

    private static YamlMappingNode Child(YamlMappingNode parent, string key)
    {
        if (!parent.Children.TryGetValue(key, out var child))
        {
            parent.Children[key] = child = new YamlMappingNode();
        }

        return (YamlMappingNode)child;
    }

    private static void ShortenMounts(YamlMappingNode service)
    {
        if (service.Children.TryGetValue("volumes", out var volumes))
        {
            var mounts = (YamlSequenceNode)volumes;
            for (var i = 0; i < mounts.Children.Count; i++)
            {
                if (mounts.Children[i] is YamlMappingNode mount)
                {
                    mounts.Children[i] = new YamlScalarNode($"{mount["source"]}:{mount["target"]}") { Style = ScalarStyle.DoubleQuoted };
                }
            }
        }
    }

    private static string Write(YamlStream stream)
    {
        using var writer = new StringWriter { NewLine = "\n" };
        stream.Save(new Emitter(writer, EmitterSettings.Default.WithIndentedSequences().WithBestWidth(int.MaxValue)), assignAnchors: false);
        // The library ends a document with an explicit "...".
        return writer.ToString().TrimEnd('.', '\n') + "\n";
    }
}
