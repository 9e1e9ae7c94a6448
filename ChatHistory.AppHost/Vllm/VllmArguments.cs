namespace ChatHistory.AppHost.Vllm;

/// <summary>The hosts whose media a request may name.</summary>
internal sealed record AllowedMediaDomainsAnnotation(IReadOnlyList<string> Domains) : IResourceAnnotation;

/// <summary>The command line of <c>vllm serve</c>, which is the image's entry point.</summary>
internal static class VllmArguments
{
    public const string SharedMemory = "2gb";

    private const string OtlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    // An empty list would allow every host; no host can have this reserved name (RFC 2606).
    private const string NoHost = "invalid";

    public static async Task AddAsync(CommandLineArgsCallbackContext context, VllmResource vllm)
    {
        context.Args.Add(vllm.Model);

        context.Args.Add("--allowed-media-domains");
        var domains = vllm.Annotations.OfType<AllowedMediaDomainsAnnotation>().LastOrDefault()?.Domains ?? [];
        foreach (var domain in domains.DefaultIfEmpty(NoHost))
        {
            context.Args.Add(domain);
        }

        // vLLM takes the rest of the OTLP configuration from the environment, but traces only when told by an argument.
        if (await FindOtlpEndpointAsync(context, vllm) is { } endpoint)
        {
            context.Args.Add("--otlp-traces-endpoint");
            context.Args.Add(endpoint);
        }
    }

    /// <summary>The value that <c>WithOtlpExporter</c> gives to the environment: the dashboard's address as this container sees it.</summary>
    private static async Task<object?> FindOtlpEndpointAsync(CommandLineArgsCallbackContext context, VllmResource vllm)
    {
        var environment = new EnvironmentCallbackContext(context.ExecutionContext, vllm, cancellationToken: context.CancellationToken);
        foreach (var callback in vllm.Annotations.OfType<EnvironmentCallbackAnnotation>().ToList())
        {
            await callback.Callback(environment);
        }

        return environment.EnvironmentVariables.GetValueOrDefault(OtlpEndpoint);
    }
}
