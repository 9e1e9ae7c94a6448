using System.Text.Json.Serialization;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.ApiReference;
using ChatHistory.Gateway.Backups;
using ChatHistory.Gateway.ChatCompletions;
using ChatHistory.Gateway.Context;
using ChatHistory.Gateway.Conversations;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.History;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Identity.Oidc;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Models;
using ChatHistory.Gateway.PassThrough;
using ChatHistory.Gateway.Paths;
using ChatHistory.Gateway.RateLimits;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Responses;
using ChatHistory.Gateway.Runs;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.StoredCompletions;
using ChatHistory.Gateway.Telemetry;
using ChatHistory.Gateway.Turns;
using ChatHistory.Gateway.Upstream;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway;

/// <summary>What the gateway consists of, and the order in which a request passes it.</summary>
internal static class GatewayServices
{
    // After the grace that running answers get (ShutdownGrace), so that their ends are committed.
    private static readonly TimeSpan s_toCommit = TimeSpan.FromSeconds(15);

    public static WebApplicationBuilder AddGateway(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton(TimeProvider.System);
        services.AddOptions<StorageOptions>().BindConfiguration(StorageOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddStorageClients();
        services.AddHealthChecks().AddCheck<StorageHealthCheck>("storage");
        VllmClient.Add(services);

        services.AddOptions<ContextOptions>().BindConfiguration(ContextOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<TokenCounter>();
        services.AddSingleton<ContextFitter>();
        services.AddSingleton<PromptBuilder>();
        services.AddSingleton<CacheSalt>();
        services.AddSingleton<UsageOnAbort>();

        services.AddOptions<PathCacheOptions>().BindConfiguration(PathCacheOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<PathCache>();

        services.AddOptions<MediaOptions>().BindConfiguration(MediaOptions.Section)
            .Validate(media => media.AllowedHosts.All(MediaAddress.IsHost), "Media:AllowedHosts must hold hosts alone, in lower case: images.example.org, or images.example.org:8443.")
            .ValidateOnStart();
        services.AddSingleton<MediaPolicy>();

        services.AddSingleton<ConversationItems>();
        services.AddSingleton<SessionQueue>();
        services.AddSingleton<ShutdownGrace>();
        services.AddAdmission();
        services.AddSingleton<TurnStore>();
        services.AddSingleton<StreamRelay>();
        services.AddSingleton<WholeRelay>();
        services.AddSingleton<ChatTelemetry>();
        services.AddSingleton<TurnRunner>();
        services.AddSingleton<RunRegistry>();
        services.AddSingleton<RunReplay>();
        services.AddSingleton<StoredAnswers>();
        services.AddSingleton<StoredRuns>();
        services.AddSingleton<RunEvents>();

        services.AddSingleton<StoredResponses>();
        services.AddSingleton<ResponseTurns>();
        services.AddSingleton<ResponseReplay>();
        services.AddSingleton<BackgroundResponses>();
        services.AddHostedService(provider => provider.GetRequiredService<BackgroundResponses>());

        services.AddHttpForwarder();
        services.AddSingleton<PassThroughHandler>();

        services.AddSingleton<IValidateOptions<IdentityOptions>, IdentityOptionsValidator>();
        services.AddOptions<IdentityOptions>().BindConfiguration(IdentityOptions.Section).ValidateOnStart();
        services.AddSingleton<ApiKeyLookup>();
        services.AddSingleton<FailedAttempts>();
        services.AddSingleton<OidcTokens>();
        services.AddHttpClient(OidcTokens.HttpClientName, client => (client.Timeout, client.MaxResponseContentBufferSize) = (TimeSpan.FromSeconds(5), 1024 * 1024));
        services.AddSingleton<RateLimiter>();
        services.AddHostedService<UsageReporter>();
        services.AddAuthentication(ApiKeyAuthentication.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, ApiKeyAuthentication>(ApiKeyAuthentication.SchemeName, null);
        services.AddAuthorizationBuilder().SetFallbackPolicy(OnlyOwners());

        services.AddOptions<LimitsOptions>().BindConfiguration(LimitsOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddConnectionLimits();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.MarkAdminConnections());
        services.AddOptions<HostOptions>().Configure<IOptions<LimitsOptions>>((host, limits) => host.ShutdownTimeout = limits.Value.StopGrace + s_toCommit);
        // A body or parameter that cannot be read becomes an exception, and so our error, instead of a bare 400.
        services.ConfigureHttpJsonOptions(json => json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict);
        services.Configure<RouteHandlerOptions>(routing => routing.ThrowOnBadRequest = true);
        services.AddApiReference();
        return builder;
    }

    public static WebApplication UseGateway(this WebApplication app)
    {
        app.UseResponseCuts();
        app.UseRequestIds();
        app.UseSafeHeaders();
        app.UseOpenAIErrors();
        app.UseAdminListener();
        app.UseAdmission();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseOperatorGuard();
        app.UseUtf8Bodies();
        app.UseRequestLimits();
        return app;
    }

    public static WebApplication MapGateway(this WebApplication app)
    {
        app.MapChatCompletions();
        app.MapStoredCompletions();
        app.MapConversations();
        app.MapResponses();
        app.MapModels();
        app.MapPassThrough();
        app.MapSessions();
        app.MapContextPreview();
        app.MapMessages();
        app.MapRuns();
        app.MapHistory();
        app.MapAdminKeys();
        app.MapBackups();
        app.MapApiReference();
        return app;
    }

    // As the fallback policy it also covers requests that no route matches, so an unknown URL without a key is a 401, not a 404.
    private static AuthorizationPolicy OnlyOwners() =>
        new AuthorizationPolicyBuilder()
            .RequireAssertion(context => context.Resource is HttpContext http && (!AsksWho(http.Request.Path) || http.User.Identity?.IsAuthenticated == true))
            .RequireAssertion(context => !context.User.IsInRole(ApiKeyAuthentication.AdminRole) || context.Resource is HttpContext http && !OwnedPaths.Covers(http.Request.Path))
            .Build();

    private static bool AsksWho(PathString path) => OwnedPaths.Covers(path) || AdminListener.IsAdminPath(path);
}
