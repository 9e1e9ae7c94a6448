using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace ChatHistory.ServiceDefaults;

/// <summary>Traces and metrics, sent by OTLP where <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> names a receiver (the Aspire dashboard, a collector).</summary>
public static class Telemetry
{
    /// <summary>Prefix of all our activity sources and meters.</summary>
    public const string Prefix = "ChatHistory";

    /// <summary>
    /// The gRPC call that carries many turns at once. It belongs to no single trace, so neither side records it;
    /// each command in it brings its own trace context and gets its own span.
    /// </summary>
    private static readonly PathString s_batchedWrite = "/chathistory.storage.v1.Turns/Write";

    private const string GrpcClientSource = "Grpc.Net.Client";

    internal const string OtlpEndpointKey = "OTEL_EXPORTER_OTLP_ENDPOINT";

    internal static void AddTelemetry(this WebApplicationBuilder builder, string serviceName)
    {
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource =>
            {
                // Aspire and operators name the service by OTEL_SERVICE_NAME; AddService would override it.
                if (string.IsNullOrEmpty(builder.Configuration["OTEL_SERVICE_NAME"]))
                {
                    resource.AddService(serviceName);
                }
            })
            .WithTracing(tracing => tracing
                .AddSource(Prefix + ".*")
                // A gRPC client makes an activity of its own around the HTTP call: not exported, it would be a hole in the trace.
                .AddSource(GrpcClientSource)
                .AddAspNetCoreInstrumentation(options => options.Filter = IsWorthASpan)
                .AddHttpClientInstrumentation())
            .WithMetrics(metrics => metrics
                .AddMeter(Prefix + ".*")
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation()
                .AddRuntimeInstrumentation());

        if (!string.IsNullOrWhiteSpace(builder.Configuration[OtlpEndpointKey]))
        {
            telemetry.UseOtlpExporter();
        }
    }

    private static bool IsWorthASpan(HttpContext context) =>
        !context.Request.Path.StartsWithSegments("/health", StringComparison.Ordinal)
        && !context.Request.Path.StartsWithSegments("/alive", StringComparison.Ordinal)
        && context.Request.Path != s_batchedWrite;
}
