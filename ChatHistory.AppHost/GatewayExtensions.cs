using System.Globalization;
using System.Net.Http.Headers;
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
                .WithEndpoint("http", http => (http.Port, http.IsExternal) = (port, true))
                .WithUrlForEndpoint("http", url => url.DisplayText = "OpenAI API")
                .WithUrlForEndpoint("http", _ => new ResourceUrlAnnotation { Url = "/scalar", DisplayText = "API reference (Scalar)" });
        }

        return builder
            .WithEndpoint("http", http => http.IsExternal = true)
            .WithEnvironment("Identity__PublishedOn", "${GATEWAY_ADDRESS}")
            .WithAnnotation(new ComposeVariable("GATEWAY_ADDRESS", "127.0.0.1", "Host address that the gateway is published on. Beyond loopback it needs ADMIN_KEY."))
            .WithAnnotation(new ComposeVariable("GATEWAY_PORT", $"{port}", "Host port that the gateway is published on."))
            .PublishAsDockerComposeService((_, service) => service.Ports = ["${GATEWAY_ADDRESS}:${GATEWAY_PORT}:8080"]);
    }

    /// <summary>
    /// Publishes the gateway's admin listener on <c>ADMIN_PORT</c>, on loopback and nowhere else: keys and backups are managed there. In a
    /// container it listens on all of the container's addresses, so it is told where it is published.
    /// </summary>
    public static IResourceBuilder<ProjectResource> WithAdminPort(this IResourceBuilder<ProjectResource> builder)
    {
        var port = Settings.AdminPort(builder.ApplicationBuilder.Configuration);
        if (builder.ApplicationBuilder.ExecutionContext.IsRunMode)
        {
            return builder
                .WithEndpoint("admin", admin => admin.Port = port)
                .WithUrlForEndpoint("admin", url => (url.DisplayText, url.DisplayLocation) = ("Admin API", UrlDisplayLocation.DetailsOnly));
        }

        return builder
            .WithEnvironment("Identity__AdminPublishedOn", "127.0.0.1")
            .WithAnnotation(new ComposeVariable("ADMIN_PORT", $"{port}", "Host port of the admin listener, on loopback: keys and backups."))
            .PublishAsDockerComposeService((_, service) => service.Ports.Add("127.0.0.1:${ADMIN_PORT}:8079"));
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

    /// <summary>
    /// The size of the garbage collector's first generation, in hex as the runtime wants it: by itself it takes as much as the processor's cache holds. Only the
    /// environment sets it. Storage is no slower with 4 MiB; the gateway, which makes a prompt for each turn, is with less than 8 (decisions 34 and 36).
    /// </summary>
    public static IResourceBuilder<ProjectResource> WithFirstGeneration(this IResourceBuilder<ProjectResource> builder, int mebibytes) =>
        builder.WithEnvironment("DOTNET_GCgen0size", (mebibytes * 1024 * 1024).ToString("x", CultureInfo.InvariantCulture));

    /// <summary>Aspire switches message content in telemetry on while developing. Conversations are private: here only the user switches it on.</summary>
    public static IResourceBuilder<ProjectResource> WithMessageContentOnlyOnRequest(this IResourceBuilder<ProjectResource> builder) =>
        builder.WithEnvironment(CaptureMessageContent, builder.ApplicationBuilder.Configuration[CaptureMessageContent] is { Length: > 0 } value ? value : "false");

    /// <summary>Buttons in the dashboard that make a backup of the history, and restore the newest one.</summary>
    public static IResourceBuilder<ProjectResource> WithBackupCommands(
        this IResourceBuilder<ProjectResource> builder, IResourceBuilder<ParameterResource> adminKey) =>
        builder
            .WithBackupCommand("/admin/backups", "Back up now", adminKey, "DatabaseArrowDown", "Copies and verifies the history while everything goes on.")
            .WithBackupCommand("/admin/backups/latest/restore", "Restore the latest backup", adminKey, "DatabaseArrowUp",
                "Puts the newest backup in the place of the history. What is replaced is kept as a backup.",
                "Everything that was said since the newest backup leaves the history; it is kept as a backup of its own. Restore?");

    private static IResourceBuilder<ProjectResource> WithBackupCommand(
        this IResourceBuilder<ProjectResource> builder, string path, string name, IResourceBuilder<ParameterResource> adminKey, string icon, string description, string? confirmation = null) =>
        builder.WithHttpCommand(path, name, endpointName: "admin", commandOptions: new HttpCommandOptions
        {
            Description = description,
            ConfirmationMessage = confirmation,
            IconName = icon,
            ResultMode = HttpCommandResultMode.Json,
            PrepareRequest = async context =>
            {
                // Without a key only programs on this machine may do this; a web page could not send this header.
                context.Request.Headers.Add("X-ChatHistory-Operator", "1");
                if (await adminKey.Resource.GetValueAsync(context.CancellationToken) is { Length: > 0 } key)
                {
                    context.Request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
                }
            },
        });

    /// <summary>A button in the dashboard that has one short conversation, so that a trace through every service is one click away.</summary>
    public static IResourceBuilder<ProjectResource> WithTryItCommand(
        this IResourceBuilder<ProjectResource> builder, IResourceBuilder<ParameterResource> model) =>
        builder.WithHttpCommand("/v1/chat/completions", "Say hello", endpointName: "http", commandOptions: new HttpCommandOptions
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
