namespace ChatHistory.AppHost.Compose;

/// <summary>Says that the published compose file reserves the host's NVIDIA GPUs for this resource.</summary>
internal sealed class ComposeGpuAnnotation : IResourceAnnotation;

/// <summary>Says that this resource talks to hosts beyond the compose file's own networks.</summary>
internal sealed class ComposeEgressAnnotation : IResourceAnnotation;

/// <summary>How many processes and threads the resource's container may have.</summary>
internal sealed record ComposePidsAnnotation(int Limit) : IResourceAnnotation
{
    /// <summary>For a resource that says nothing.</summary>
    public const int Default = 512;
}
