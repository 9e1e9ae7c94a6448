using System.Diagnostics;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>
/// The scripts of <c>Sdk/node</c> with the packages that their lock file names, installed once into the test's output. The lock file holds no
/// download addresses: npm takes them from wherever this machine is told to.
/// </summary>
public sealed class NodeProject : IAsyncLifetime
{
    private static readonly TimeSpan s_installLimit = TimeSpan.FromMinutes(5);

    private readonly string _folder = Path.Combine(AppContext.BaseDirectory, "Sdk", "node");

    public async Task InitializeAsync()
    {
        var wanted = await File.ReadAllTextAsync(Path.Combine(_folder, "package-lock.json"));
        var installed = Path.Combine(_folder, "node_modules", ".installed-lock.json");
        if (NodeTheoryAttribute.Missing is null && (!File.Exists(installed) || await File.ReadAllTextAsync(installed) != wanted))
        {
            var (exitCode, output) = await RunAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], [], s_installLimit);
            Assert.True(exitCode == 0, $"npm ci in {_folder} failed:\n{output}");
            await File.WriteAllTextAsync(installed, wanted);
        }
    }

    public Task DisposeAsync() => Task.CompletedTask;

    /// <summary>Runs a script to its end.</summary>
    /// <returns>The exit code, and all that it wrote.</returns>
    internal Task<(int ExitCode, string Output)> RunScriptAsync(string script, TimeSpan limit, params (string Key, string Value)[] settings) =>
        RunAsync("node", [Path.Combine(_folder, script)], settings, limit);

    private async Task<(int ExitCode, string Output)> RunAsync(string program, string[] arguments, (string Key, string Value)[] settings, TimeSpan limit)
    {
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder },
        };
        foreach (var (key, value) in settings)
        {
            process.StartInfo.Environment[key] = value;
        }

        process.Start();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        try
        {
            await process.WaitForExitAsync().WaitAsync(limit);
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            return (-1, $"{await output}\n{await errors}\nNot finished after {limit}.");
        }

        return (process.ExitCode, $"{await output}\n{await errors}");
    }
}
