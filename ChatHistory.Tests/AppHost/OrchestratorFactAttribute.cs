using System.Reflection;
using ChatHistory.AppHost.Vllm;

namespace ChatHistory.Tests.AppHost;

/// <summary>A test that starts the application: it needs Aspire's orchestrator (DCP), a program that some package feeds do not have.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class OrchestratorFactAttribute : FactAttribute
{
    public OrchestratorFactAttribute()
    {
        // xunit 2 cannot skip from inside a test. The build writes the program's path into the AppHost's assembly.
        var path = typeof(VllmResource).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(metadata => string.Equals(metadata.Key, "dcpclipath", StringComparison.OrdinalIgnoreCase))?.Value;
        if (!File.Exists(path))
        {
            Skip = $"Aspire's orchestrator is not there ('{path}'): the application cannot be started by the AppHost.";
        }
    }
}
