using Scalar.AspNetCore;

namespace ChatHistory.Gateway.ApiReference;

/// <summary>The OpenAPI document, and Scalar's page of it. Public, also where keys are needed: they describe routes, not data.</summary>
internal static class ApiReferenceEndpoints
{
    public static IServiceCollection AddApiReference(this IServiceCollection services) =>
        services.AddOpenApi(options => options
            .AddDocumentTransformer((document, _, _) =>
            {
                GatewayDocument.Describe(document);
                return Task.CompletedTask;
            })
            .AddOperationTransformer(GatewayDocument.DescribeOperationAsync));

    public static IEndpointRouteBuilder MapApiReference(this IEndpointRouteBuilder routes)
    {
        routes.MapOpenApi().AllowAnonymous();
        // Everything the page needs is served from here; whatever would ask a server of Scalar's is off.
        routes.MapScalarApiReference(scalar => scalar
                .WithTitle("ChatHistory")
                .DisableAgent()
                .DisableMcp()
                .DisableTelemetry()
                .DisableDefaultFonts()
                .HideDeveloperTools()
                .HideClientButton()
                .ExpandAllTags()
                .AddPreferredSecuritySchemes(GatewayDocument.SecurityScheme))
            .AllowAnonymous();
        routes.MapGet("/", () => Results.Redirect("/scalar")).AllowAnonymous().ExcludeFromDescription();
        return routes;
    }
}
