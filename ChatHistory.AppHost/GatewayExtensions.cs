using System.Net.Http.Json;
using ChatHistory.AppHost.Compose;

namespace ChatHistory.AppHost;

/// <summary>What is special about the gateway and the services behind it.</summary>
internal static class GatewayExtensions
{
    private const string CaptureMessageContent = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

    /// <summary>
    /// Publishes the gateway on <c>GATEWAY_PORT</c>, on loopback unless told otherwise. In a container it cannot see the host's address,
    /// so it is told: personal mode is refused beyond loopback.
    /// </summary>
    public static IResourceBuilder<ProjectResource> WithGatewayPort(this IResourceBuilder<ProjectResource> builder)
    {
        var port = Settings.GatewayPort(builder.ApplicationBuilder.Configuration);
        if (builder.ApplicationBuilder.ExecutionContext.IsRunMode)
        {
            return builder
                .WithEndpoint("http", http => http.Port = port)
                .WithUrlForEndpoint("http", url => url.DisplayText = "OpenAI API")
                .WithUrlForEndpoint("http", _ => new ResourceUrlAnnotation { Url = "/scalar", DisplayText = "API reference (Scalar)" });
        }

        return builder
            .WithEnvironment("Identity__PublishedOn", "${GATEWAY_ADDRESS}")
            // How a UI's container calls it; in personal mode any other name is refused.
            .WithEnvironment("Identity__AllowedHosts__0", builder.Resource.Name)
            .WithAnnotation(new ComposeVariable("GATEWAY_ADDRESS", "127.0.0.1", "Host address that the gateway is published on. Beyond loopback it needs ADMIN_KEY."))
            .WithAnnotation(new ComposeVariable("GATEWAY_PORT", $"{port}", "Host port that the gateway is published on."))
            .PublishAsDockerComposeService((_, service) => service.Ports = ["${GATEWAY_ADDRESS}:${GATEWAY_PORT}:8080"]);
    }

    /// <summary>
    /// A service that only the gateway calls. A run chooses its host ports, so that a second checkout does not collide with it,
    /// and the dashboard keeps its addresses out of the way.
    /// </summary>
    public static IResourceBuilder<ProjectResource> AsInnerService(this IResourceBuilder<ProjectResource> builder)
    {
        if (builder.ApplicationBuilder.ExecutionContext.IsRunMode)
        {
            foreach (var endpoint in builder.Resource.Annotations.OfType<EndpointAnnotation>().ToList())
            {
                endpoint.Port = null;
                builder.WithUrlForEndpoint(endpoint.Name, url => url.DisplayLocation = UrlDisplayLocation.DetailsOnly);
            }
        }

        return builder;
    }

    /// <summary>Aspire switches message content in telemetry on while developing. Conversations are private: here only the user switches it on.</summary>
    public static IResourceBuilder<ProjectResource> WithMessageContentOnlyOnRequest(this IResourceBuilder<ProjectResource> builder) =>
        builder.WithEnvironment(CaptureMessageContent, builder.ApplicationBuilder.Configuration[CaptureMessageContent] is { Length: > 0 } value ? value : "false");

    /// <summary>A button in the dashboard that has one short conversation, so that a trace through every service is one click away.</summary>
    public static IResourceBuilder<ProjectResource> WithTryItCommand(
        this IResourceBuilder<ProjectResource> builder, IResourceBuilder<ParameterResource> model) =>
        builder.WithHttpCommand("/v1/chat/completions", "Say hello", commandOptions: new HttpCommandOptions
        {
            Description = "Sends one short chat completion and saves it in a new session. With API keys switched on it is refused.",
            IconName = "ChatAdd",
            ResultMode = HttpCommandResultMode.Json,
            PrepareRequest = async context => context.Request.Content = JsonContent.Create(new
            {
                model = await model.Resource.GetValueAsync(context.CancellationToken),
                messages = new[] { new { role = "user", content = "Hello from the Aspire dashboard." } },
                max_tokens = 32,
            }),
        });
}
