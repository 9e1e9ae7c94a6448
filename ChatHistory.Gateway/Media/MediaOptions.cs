namespace ChatHistory.Gateway.Media;

/// <summary>Which media a request may name instead of bringing them; section <c>Media</c>.</summary>
internal sealed class MediaOptions
{
    public const string Section = "Media";

    /// <summary>
    /// Hosts from which the model server may fetch what a request names: <c>images.example.org</c>, or <c>images.example.org:8443</c> where the port is
    /// not the scheme's own. Each stands for itself alone, not for those below it. Empty: media come inside the request, as <c>data:</c> URLs, or not at all.
    /// </summary>
    public string[] AllowedHosts { get; init; } = [];
}
