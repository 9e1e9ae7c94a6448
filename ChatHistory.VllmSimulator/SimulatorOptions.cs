using System.ComponentModel.DataAnnotations;
using ChatHistory.VllmSimulator.Faults;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator;

/// <summary>Section <c>Simulator</c> of the configuration. Paces and faults are defaults: each request may bring its own.</summary>
internal sealed class SimulatorOptions
{
    public const string Section = "Simulator";

    /// <summary>The one model that is served; a request that names another gets vLLM's 404.</summary>
    [Required(AllowEmptyStrings = false, ErrorMessage = "Simulator:Model is empty: name the model that is served, e.g. Qwen/Qwen3-0.6B.")]
    public string Model { get; init; } = SimulatorApplication.Fingerprint;

    /// <summary>Context length in tokens of the simulator's own tokenizer; a longer prompt gets vLLM's 400.</summary>
    [Range(1, int.MaxValue, ErrorMessage = "Simulator:MaxModelLen must be at least 1 token.")]
    public int MaxModelLen { get; init; } = 32_768;

    /// <summary>Pause before the first token.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00", ErrorMessage = "Simulator:TimeToFirstToken must lie between 00:00:00 and one day.")]
    public TimeSpan TimeToFirstToken { get; init; } = TimeSpan.Zero;

    /// <summary>Pause before each further token. 15 ms reads well; tests and benchmarks set zero.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00", ErrorMessage = "Simulator:TimePerToken must lie between 00:00:00 and one day.")]
    public TimeSpan TimePerToken { get; init; } = TimeSpan.FromMilliseconds(15);

    /// <summary>For so long after the start the model "loads": everything but <c>/alive</c> answers 503.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00", ErrorMessage = "Simulator:StartupDelay must lie between 00:00:00 and one day.")]
    public TimeSpan StartupDelay { get; init; } = TimeSpan.Zero;

    /// <summary>As vLLM's <c>--api-key</c>: guards <c>/v1</c> only. None by default.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Length of an embedding when the request names none.</summary>
    [Range(1, 65_536, ErrorMessage = "Simulator:EmbeddingDimensions must lie between 1 and 65536.")]
    public int EmbeddingDimensions { get; init; } = 384;

    /// <summary>How many received requests <c>/simulator/requests</c> remembers; 0 remembers none.</summary>
    [Range(0, 1_000_000, ErrorMessage = "Simulator:RecordedRequests must lie between 0 and 1000000.")]
    public int RecordedRequests { get; init; } = 256;

    /// <summary>A fault for every request that names none itself; see <see cref="FaultCatalog"/>.</summary>
    public string? Fault { get; init; }
}

/// <summary>The attributes' rules, and that a configured fault exists.</summary>
[OptionsValidator]
internal sealed partial class SimulatorAttributesValidator : IValidateOptions<SimulatorOptions>;

internal sealed class SimulatorOptionsValidator : IValidateOptions<SimulatorOptions>
{
    private readonly SimulatorAttributesValidator _attributes = new();

    public ValidateOptionsResult Validate(string? name, SimulatorOptions options)
    {
        var result = _attributes.Validate(name, options);
        return result.Failed || FaultCatalog.TryFind(options.Fault, out _)
            ? result
            : ValidateOptionsResult.Fail($"Simulator:Fault is '{options.Fault}', which is no fault. Known: {FaultCatalog.Names}.");
    }
}
