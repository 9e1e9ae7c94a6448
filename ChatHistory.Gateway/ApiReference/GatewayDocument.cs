using System.Globalization;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Sessions;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace ChatHistory.Gateway.ApiReference;

/// <summary>What the OpenAPI document says beyond what the routes say themselves.</summary>
internal static class GatewayDocument
{
    public const string SecurityScheme = "bearer";

    // Their lists have our pages; the others, OpenAI's.
    private static readonly string[] s_ours = ["v1/sessions", "v1/users", "admin"];

    // As a reader looks for them, not as routing happens to list them.
    private static readonly string[] s_tags =
    [
        "Chat completions", "Stored chat completions", "Responses", "Conversations", "Sessions", "Messages", "Runs", "History", "Models", "Pass-through", "API keys", "Backups",
    ];

    public static void Describe(OpenApiDocument document)
    {
        document.Tags = new HashSet<OpenApiTag>(s_tags.Select(name => new OpenApiTag { Name = name }));
        document.Info = new OpenApiInfo
        {
            Title = "ChatHistory",
            Version = "v1",
            Description =
                "An OpenAI-compatible gateway that keeps every conversation. Point any OpenAI client's base URL at `/v1`; read what it said under "
                + "`/v1/sessions` and `/v1/users`, or as OpenAI's stored completions, conversations and responses. Every error has OpenAI's envelope. In personal mode no key is needed.",
        };
        document.Components ??= new OpenApiComponents();
        document.AddComponent(SecurityScheme, new OpenApiSecurityScheme
        {
            Type = SecuritySchemeType.Http,
            Scheme = "bearer",
            Description = "An API key (chk_...), or the admin key for the routes under /admin.",
        });
        document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(SecurityScheme, document)] = [] }];
    }

    public static async Task DescribeOperationAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        foreach (var parameter in (operation.Parameters ?? []).OfType<OpenApiParameter>())
        {
            Describe(parameter, isOurs: s_ours.Any(path => context.Description.RelativePath?.StartsWith(path, StringComparison.Ordinal) == true));
        }

        if (context.Description.RelativePath?.StartsWith("admin/", StringComparison.Ordinal) == true)
        {
            operation.Description = $"{operation.Description} Served by the admin listener only (Kestrel:Endpoints:admin), which is on loopback; elsewhere this path does not exist.".TrimStart();
            operation.Servers =
            [
                new OpenApiServer
                {
                    Url = "http://127.0.0.1:{port}",
                    Description = "The admin listener",
                    Variables = new Dictionary<string, OpenApiServerVariable> { ["port"] = new() { Default = "8079", Description = "ADMIN_PORT" } },
                },
            ];
        }

        operation.Responses ??= [];
        operation.Responses["default"] = new OpenApiResponse
        {
            Description = "Any error",
            Content = new Dictionary<string, OpenApiMediaType>
            {
                ["application/json"] = new() { Schema = await context.GetOrCreateSchemaAsync(typeof(ErrorEnvelope), null, cancellationToken) },
            },
        };
    }

    // limit and offset are bound as text, so that a mistake in them gets a sentence (Page.Read); to clients they are numbers.
    private static void Describe(OpenApiParameter parameter, bool isOurs)
    {
        switch (parameter.Name)
        {
            case "limit" when !isOurs:
                parameter.Schema = Number(1, CursorPage.MaxLimit, CursorPage.DefaultLimit);
                parameter.Description = "Most items on the page.";
                break;
            case "after" when !isOurs:
                parameter.Description = "The id of the last item of the page before.";
                break;
            case "before":
                parameter.Description = "The id of the first item of the page behind.";
                break;
            case "order" when !isOurs:
                parameter.Schema = new OpenApiSchema { Type = JsonSchemaType.String, Enum = [JsonValue.Create("asc"), JsonValue.Create("desc")] };
                break;
            case "limit":
                parameter.Schema = Number(1, Page.MaxLimit, Page.DefaultLimit);
                parameter.Description = "Most items on the page.";
                break;
            case "offset":
                parameter.Schema = Number(0, int.MaxValue, 0);
                parameter.Description = "Items to leave out; its cost grows with it. Prefer after.";
                break;
            case "after":
                parameter.Description = "The cursor of the page before: its next (sessions, history), or the last seq (messages).";
                break;
            case "order":
                parameter.Schema = new OpenApiSchema { Type = JsonSchemaType.String, Enum = [JsonValue.Create("asc"), JsonValue.Create("desc")], Default = JsonValue.Create("asc") };
                break;
            case "branch":
                parameter.Description = "head, or the id of a message: only the path from the first message to that one. The list is then as long as the path.";
                break;
            case "user_id" when parameter.In == ParameterLocation.Query:
                parameter.Description = "Personal mode: whose; default_user when absent. With an API key it is the key's owner.";
                break;
        }
    }

    private static OpenApiSchema Number(int min, int max, int byDefault) => new()
    {
        Type = JsonSchemaType.Integer,
        Format = "int32",
        Minimum = min.ToString(CultureInfo.InvariantCulture),
        Maximum = max.ToString(CultureInfo.InvariantCulture),
        Default = JsonValue.Create(byDefault),
    };
}
