using System.Text.RegularExpressions;

namespace ChatHistory.AppHost.Compose;

/// <summary>
/// A variable of the published compose file. Its default stands in the file itself (<c>${GATEWAY_PORT:-8080}</c>): the <c>.env</c> beside it
/// is written with blank values, and the file has to start without an edit.
/// </summary>
/// <param name="Name">The name, e.g. <c>GATEWAY_PORT</c>.</param>
/// <param name="Default">What it is when unset or blank.</param>
/// <param name="Description">One sentence for the <c>.env</c> file.</param>
internal sealed partial record ComposeVariable(string Name, string Default, string Description) : IResourceAnnotation
{
    /// <summary>Writes the defaults into every plain reference, <c>${NAME}</c>, of a text.</summary>
    public static string WithDefaults(string text, IReadOnlyDictionary<string, ComposeVariable> variables) =>
        Reference().Replace(text, match => $"${{{match.Groups[1].Value}:-{variables.GetValueOrDefault(match.Groups[1].Value)?.Default}}}");

    [GeneratedRegex(@"\$\{([A-Z0-9_]+)\}")]
    private static partial Regex Reference();
}
