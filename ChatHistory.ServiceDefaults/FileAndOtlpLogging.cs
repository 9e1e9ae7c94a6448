using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Serilog;
using Serilog.Events;
using Serilog.Sinks.File;

namespace ChatHistory.ServiceDefaults;

/// <summary>
/// Logs go to the console, to a daily file in the volume, and to OTLP. Serilog is the only route to OTLP:
/// with <c>Logging.AddOpenTelemetry</c> beside it every line would arrive twice.
/// </summary>
internal static class FileAndOtlpLogging
{
    private const long MaxFileBytes = 100L * 1024 * 1024;
    private const int MaxFiles = 31;

    // The trace id joins a line in the file with its trace in the dashboard.
    // {Failure} is the exception, as LogLineEnricher writes it.
    private const string Template = "{Timestamp:yyyy-MM-dd HH:mm:ss.fff} {Level:u3} {SourceContext} {TraceId} {Message:lj}{NewLine}{Failure:l}";

    public static void AddFileAndOtlpLogging(this WebApplicationBuilder builder, string serviceName, Func<Exception, bool> isIntended)
    {
        var directory = Volume.LogsDirectory(builder.Configuration);
        var otlp = !string.IsNullOrWhiteSpace(builder.Configuration[Telemetry.OtlpEndpointKey]);

        builder.Services.AddSerilog(logger =>
        {
            logger
                .MinimumLevel.Information()
                .MinimumLevel.Override("Microsoft.AspNetCore", LogEventLevel.Warning)
                .MinimumLevel.Override("Microsoft.EntityFrameworkCore", LogEventLevel.Warning)
                .MinimumLevel.Override("System.Net.Http", LogEventLevel.Warning)
                .MinimumLevel.Override("Grpc", LogEventLevel.Warning)
                // Whoever polls /health sees the answer; a line for each poll would bury the rest.
                .MinimumLevel.Override("Microsoft.Extensions.Diagnostics.HealthChecks", LogEventLevel.Fatal)
                // Why a service does not start is said once, in a sentence (ServiceRun); the host would show its stack as well.
                .Filter.ByExcluding(line => line.Exception is { } exception && (isIntended(exception) || StartFailure.SentenceOf(exception) is not null))
                .Enrich.FromLogContext()
                .Enrich.With(new LogLineEnricher())
                .WriteTo.Console(outputTemplate: Template, formatProvider: CultureInfo.InvariantCulture)
                .WriteTo.File(
                    Path.Combine(directory, $"{serviceName}-.log"),
                    outputTemplate: Template,
                    formatProvider: CultureInfo.InvariantCulture,
                    rollingInterval: RollingInterval.Day,
                    rollOnFileSizeLimit: true,
                    fileSizeLimitBytes: MaxFileBytes,
                    retainedFileCountLimit: MaxFiles,
                    hooks: new OnlyForItsOwner());
            if (otlp)
            {
                // Endpoint, protocol, headers and resource come from the standard OTEL_* variables.
                logger.WriteTo.OpenTelemetry(options => options.ResourceAttributes.TryAdd("service.name", serviceName));
            }

            // Last, so that "Serilog:MinimumLevel" in configuration has the final word.
            logger.ReadFrom.Configuration(builder.Configuration);
        });
    }

    /// <summary>Logs say who did what when: on a machine with other users they are the service's own (mode 0600).</summary>
    private sealed class OnlyForItsOwner : FileLifecycleHooks
    {
        public override Stream OnFileOpened(string path, Stream underlyingStream, Encoding encoding)
        {
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            return underlyingStream;
        }
    }
}
