namespace ChatHistory.AppHost;

/// <summary>
/// The three folders of the volume. On this machine they lie in <c>VOLUME_DIR</c>; a container sees each below <c>/app</c>.
/// </summary>
internal sealed record VolumeFolders(VolumeFolder Data, VolumeFolder Logs, VolumeFolder Models)
{
    public static VolumeFolders Of(IDistributedApplicationBuilder builder)
    {
        // A relative path counts from the repository's root, not from the AppHost's folder, which `dotnet run` works in.
        var root = Path.GetFullPath(Path.Combine(builder.AppHostDirectory, ".."));
        var configured = builder.Configuration["VOLUME_DIR"];
        var volume = Path.GetFullPath(Path.Combine(root, string.IsNullOrWhiteSpace(configured) ? "volume" : configured));
        return new(
            new(Path.Combine(volume, "db"), "./volume/db", "/app/data"),
            new(Path.Combine(volume, "logs"), "./volume/logs", "/app/logs"),
            new(Path.Combine(volume, "models"), "./volume/models", "/app/models"));
    }
}

/// <summary>One folder of the volume.</summary>
/// <param name="HostPath">Where it is on this machine: used by a run.</param>
/// <param name="ComposeSource">What the published file mounts, relative to that file.</param>
/// <param name="ContainerPath">Where a container finds it.</param>
internal sealed record VolumeFolder(string HostPath, string ComposeSource, string ContainerPath);

/// <summary>Says that a resource uses a folder of the volume: the published compose file mounts it.</summary>
internal sealed record VolumeFolderAnnotation(VolumeFolder Folder) : IResourceAnnotation;

internal static class VolumeFolderExtensions
{
    /// <summary>Gives the resource a folder (or a file in it) by an environment variable, as the path that is right where it runs.</summary>
    public static IResourceBuilder<ProjectResource> WithFolder(
        this IResourceBuilder<ProjectResource> builder, string environmentVariable, VolumeFolder folder, string? file = null)
    {
        var path = builder.ApplicationBuilder.ExecutionContext.IsPublishMode
            ? string.Join('/', new[] { folder.ContainerPath, file }.Where(part => part is not null))
            : Path.Combine(folder.HostPath, file ?? "");
        return builder.WithEnvironment(environmentVariable, path).WithAnnotation(new VolumeFolderAnnotation(folder));
    }
}
