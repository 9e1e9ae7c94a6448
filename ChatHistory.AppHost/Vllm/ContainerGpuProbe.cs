using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Extensions.Configuration;

namespace ChatHistory.AppHost.Vllm;

/// <summary>Finds out whether a container engine runs here that can hand an NVIDIA GPU to a container. One question answers both.</summary>
internal static class ContainerGpuProbe
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(5);

    public static bool CanRunGpuContainers(IConfiguration configuration)
    {
        // The same keys by which Aspire itself chooses the engine.
        var runtime = configuration["ASPIRE_CONTAINER_RUNTIME"] ?? configuration["DOTNET_ASPIRE_CONTAINER_RUNTIME"] ?? "docker";
        return runtime.Equals("podman", StringComparison.OrdinalIgnoreCase)
            ? Ask("podman", "info") is not null && new[] { "/etc/cdi/nvidia.yaml", "/var/run/cdi/nvidia.yaml" }.Any(File.Exists)
            : OffersNvidia(Ask(runtime, "info", "--format", "{{json .Runtimes}}"));
    }

    // {"io.containerd.runc.v2":{...},"nvidia":{"path":"nvidia-container-runtime"},"runc":{...}}
    private static bool OffersNvidia(string? runtimes) => runtimes?.Contains("\"nvidia\"", StringComparison.Ordinal) is true;

    /// <summary>The output of a command that succeeded in time, else null.</summary>
    private static string? Ask(string command, params string[] arguments)
    {
        var start = new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using var process = Process.Start(start);
            if (process is null)
            {
                return null;
            }

            var output = process.StandardOutput.ReadToEndAsync();
            if (process.WaitForExit(s_timeout))
            {
                return process.ExitCode is 0 ? output.GetAwaiter().GetResult() : null;
            }

            process.Kill(entireProcessTree: true);
            return null;
        }
        catch (Win32Exception)
        {
            return null; // not installed
        }
    }
}
