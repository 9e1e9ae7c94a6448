using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Admission;

/// <summary>Marks the routes whose requests need a place, and refuses those that would get none.</summary>
internal static class AdmissionEndpoints
{
    public static IServiceCollection AddAdmission(this IServiceCollection services)
    {
        services.AddSingleton<AdmissionGate>();
        services.AddSingleton<GracefulStop>();
        services.AddHostedService(provider => provider.GetRequiredService<GracefulStop>());
        services.AddHealthChecks().AddCheck<GracefulStop>("stopping");
        return services;
    }

    /// <summary>Requests of this route need a place of that kind.</summary>
    public static TBuilder NeedsPlace<TBuilder>(this TBuilder endpoint, AdmissionKind kind)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new Needed(kind));

    /// <summary>
    /// Comes before authentication, which asks storage: under overload a refusal must cost next to nothing. It tells nobody more than that the gateway
    /// is busy.
    /// </summary>
    public static WebApplication UseAdmission(this WebApplication app)
    {
        app.Use((context, next) =>
        {
            if (context.GetEndpoint()?.Metadata.GetMetadata<Needed>() is not { } needed)
            {
                return next(context);
            }

            var gate = context.RequestServices.GetRequiredService<AdmissionGate>();
            return gate.RefusalOf(needed.Kind) is { } refusal ? OpenAIErrors.WriteAsync(context, refusal) : next(context);
        });
        return app;
    }

    private sealed record Needed(AdmissionKind Kind);
}
