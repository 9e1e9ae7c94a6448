using ChatHistory.ServiceDefaults;
using ChatHistory.VllmSimulator.ChatCompletions;
using ChatHistory.VllmSimulator.Completions;
using ChatHistory.VllmSimulator.Embeddings;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Faults;
using ChatHistory.VllmSimulator.Health;
using ChatHistory.VllmSimulator.Metrics;
using ChatHistory.VllmSimulator.Models;
using ChatHistory.VllmSimulator.Recording;
using ChatHistory.VllmSimulator.Tokenizer;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator;

/// <summary>
/// A stand-in for vLLM: its routes, its wire format, its quirks, but no model. Answers are a function of the request
/// (<see cref="AnswerRule"/>), paces and faults are scripted (<see cref="Directives.Directive"/>, <see cref="FaultCatalog"/>).
/// </summary>
internal static partial class SimulatorApplication
{
    /// <summary>In every answer's <c>system_fingerprint</c> and every model's <c>owned_by</c>: nobody shall take this for a model.</summary>
    public const string Fingerprint = "chathistory-simulator";

    /// <summary>Builds the application; a test passes <paramref name="customize"/> to put its own clock in.</summary>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder>? customize = null)
    {
        var builder = Extensions.CreateServiceBuilder(args, "vllm-simulator");
        builder.AddSimulator();
        customize?.Invoke(builder);

        var app = builder.Build();
        app.UseVllmErrors();
        app.UseModelLoading();
        app.UseApiKey();
        app.UseRecording();
        app.MapDefaultEndpoints();
        app.MapModels();
        app.MapChatCompletions();
        app.MapCompletions();
        app.MapEmbeddings();
        app.MapTokenizer();
        app.MapServerState();
        app.MapRecording();
        app.MapFaults();

        var options = app.Services.GetRequiredService<IOptions<SimulatorOptions>>().Value;
        Log.Simulation(app.Logger, options.Model);
        return app;
    }

    private static void AddSimulator(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptionsWithValidateOnStart<SimulatorOptions, SimulatorOptionsValidator>().BindConfiguration(SimulatorOptions.Section);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<SimulatorMetrics>();
        services.AddSingleton<RequestLog>();
        services.AddSingleton<ModelLoading>();
        services.AddSingleton<ChatCompletionHandler>();
        services.AddSingleton<CompletionHandler>();
        services.AddSingleton<EmbeddingHandler>();
        services.AddHealthChecks().AddCheck<ModelLoadedHealthCheck>("model-loaded");

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            // vLLM behind uvicorn has none of these limits; a gateway's own must be what its tests meet.
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
        });
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "This is a SIMULATION of vLLM: no model runs here, '{Model}' answers by rule. For tests, benchmarks and machines without a GPU.")]
        public static partial void Simulation(ILogger logger, string model);
    }
}
