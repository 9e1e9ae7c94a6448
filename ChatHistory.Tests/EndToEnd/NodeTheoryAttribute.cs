using System.ComponentModel;
using System.Diagnostics;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>A test that needs Node.js and npm, which a machine for .NET need not have.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NodeTheoryAttribute : TheoryAttribute
{
    // xunit 2 cannot skip from inside a test.
    public NodeTheoryAttribute() => Skip = Missing;

    /// <summary>Which program is not there; null when both are.</summary>
    public static string? Missing { get; } = new[] { "node", "npm" }.Where(program => !Starts(program)).Select(program => $"{program} is not installed: the official npm client cannot be run.").FirstOrDefault();

    private static bool Starts(string program)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, "--version") { RedirectStandardOutput = true, RedirectStandardError = true });
            return process!.WaitForExit(TimeSpan.FromSeconds(30)) && process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }
}
