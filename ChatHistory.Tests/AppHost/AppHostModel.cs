using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace ChatHistory.Tests.AppHost;

/// <summary>Builds the AppHost's model without starting anything, apart from whatever this machine's environment says.</summary>
internal static class AppHostModel
{
    /// <summary>Settings that a developer may have in the environment, blanked; and an engine that no machine has.</summary>
    private static readonly string[] s_isolation =
    [
        "--VLLM_ENDPOINT=", "--VLLM_MODEL=", "--VLLM_API_KEY=", "--HF_TOKEN=", "--ADMIN_KEY=", "--OIDC_AUTHORITY=", "--OIDC_AUDIENCE=", "--GATEWAY_PORT=", "--ADMIN_PORT=", "--VOLUME_DIR=",
        "--OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=", "--ASPIRE_CONTAINER_RUNTIME=no-such-engine",
    ];

    public static Task<IDistributedApplicationTestingBuilder> RunModeAsync(params string[] settings) => CreateAsync(settings);

    public static Task<IDistributedApplicationTestingBuilder> PublishModeAsync(params string[] settings) =>
        CreateAsync(["--operation=publish", "--step=publish", .. settings]);

    public static T Resource<T>(this IDistributedApplicationTestingBuilder builder, string name) where T : IResource =>
        builder.Resources.OfType<T>().Single(resource => resource.Name == name);

    /// <summary>Environment and arguments; as publishing sees them references stay expressions, so nothing has to be started.</summary>
    public static async Task<(Dictionary<string, string> Environment, string[] Arguments)> ConfigurationAsync(
        this IResource resource, DistributedApplicationOperation operation = DistributedApplicationOperation.Publish)
    {
        var result = await ExecutionConfigurationBuilder.Create(resource)
            .WithEnvironmentVariablesConfig()
            .WithArgumentsConfig()
            .BuildAsync(new(operation), NullLogger.Instance);
        return (result.EnvironmentVariables.ToDictionary(), [.. result.Arguments.Select(argument => argument.Value)]);
    }

    // Later arguments win over earlier ones.
    private static Task<IDistributedApplicationTestingBuilder> CreateAsync(string[] settings) =>
        DistributedApplicationTestingBuilder.CreateAsync<Projects.ChatHistory_AppHost>([.. s_isolation, .. settings]);
}
