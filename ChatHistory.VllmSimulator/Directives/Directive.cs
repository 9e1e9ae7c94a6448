using System.Globalization;
using System.Text.Json.Serialization;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Faults;

namespace ChatHistory.VllmSimulator.Directives;

/// <summary>
/// What a request asks of the simulator itself. Three forms, each overriding the one before it, all over the configured defaults:
/// <code>
/// header   X-Simulator: ttft_ms=200; token_ms=20; fault=reset; fault_after=5
/// message  "… [[simulator: tokens=50]] …"             (in the last user message, for plain clients)
/// body     "simulator": {"token_ms": 0, "tokens": 200, "fault": "no-done"}   (passes gateways untouched)
/// </code>
/// </summary>
/// <param name="TtftMs">Milliseconds before the first token.</param>
/// <param name="TokenMs">Milliseconds before each further token.</param>
/// <param name="Tokens">Exactly so many tokens of answer text.</param>
/// <param name="Text">The answer's text itself.</param>
/// <param name="Seed">Overrides the request's <c>seed</c>.</param>
/// <param name="Reasoning">True: reason before the answer. False: never.</param>
/// <param name="ReasoningField">The name of the reasoning field: <c>reasoning</c> (vLLM today) or <c>reasoning_content</c> (vLLM before 0.12).</param>
/// <param name="Tool">Call the tool of this name.</param>
/// <param name="Fault">A name from <see cref="FaultCatalog"/>.</param>
/// <param name="FaultAfter">So many chunks are sent before a fault in the middle of a stream; 3 by default.</param>
/// <param name="RetryAfter">Seconds in the <c>Retry-After</c> header of <c>error-429</c> and <c>error-503</c>; 1 by default.</param>
/// <param name="FaultBytes">Size of <c>huge-line</c>; 10 MB by default.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record Directive(
    double? TtftMs = null,
    double? TokenMs = null,
    int? Tokens = null,
    string? Text = null,
    long? Seed = null,
    bool? Reasoning = null,
    string? ReasoningField = null,
    string? Tool = null,
    string? Fault = null,
    int? FaultAfter = null,
    int? RetryAfter = null,
    int? FaultBytes = null)
{
    public const string HeaderName = "X-Simulator";

    /// <summary>Reads <c>key=value; key=value</c>; null with a message when a key is unknown or a value is none.</summary>
    public static Directive? Parse(ReadOnlySpan<char> text, out string? problem)
    {
        problem = null;
        var directive = new Directive();
        foreach (var range in text.Split(';'))
        {
            var pair = text[range].Trim();
            if (pair.IsEmpty)
            {
                continue;
            }

            var equals = pair.IndexOf('=');
            var key = equals < 0 ? pair : pair[..equals].TrimEnd();
            var value = equals < 0 ? [] : pair[(equals + 1)..].TrimStart();
            if (directive.With(key, value) is not { } next)
            {
                problem = $"The simulator does not understand the directive '{pair}'.";
                return null;
            }

            directive = next;
        }

        return directive;
    }

    /// <summary>This directive, with what <paramref name="other"/> says instead where it says something.</summary>
    public Directive OverriddenBy(Directive? other) => other is null
        ? this
        : new Directive(
            other.TtftMs ?? TtftMs,
            other.TokenMs ?? TokenMs,
            other.Tokens ?? Tokens,
            other.Text ?? Text,
            other.Seed ?? Seed,
            other.Reasoning ?? Reasoning,
            other.ReasoningField ?? ReasoningField,
            other.Tool ?? Tool,
            other.Fault ?? Fault,
            other.FaultAfter ?? FaultAfter,
            other.RetryAfter ?? RetryAfter,
            other.FaultBytes ?? FaultBytes);

    /// <summary>Why this cannot be done, or null.</summary>
    public VllmError? Validate() => this switch
    {
        _ when !FaultCatalog.TryFind(Fault, out _) => VllmError.BadRequest($"'{Fault}' is no fault of the simulator. Known: {FaultCatalog.Names}.", "simulator.fault"),
        { TtftMs: < 0 } or { TtftMs: > MaxMilliseconds } => OutOfRange("ttft_ms"),
        { TokenMs: < 0 } or { TokenMs: > MaxMilliseconds } => OutOfRange("token_ms"),
        { Tokens: < 0 or > 1_000_000 } => OutOfRange("tokens"),
        { FaultAfter: < 0 } => OutOfRange("fault_after"),
        { RetryAfter: < 0 } => OutOfRange("retry_after"),
        { FaultBytes: < 0 or > 1_000_000_000 } => OutOfRange("fault_bytes"),
        { ReasoningField: not (null or "reasoning" or "reasoning_content") } => OutOfRange("reasoning_field"),
        _ => null,
    };

    private const double MaxMilliseconds = 86_400_000;

    private static VllmError OutOfRange(string field) => VllmError.BadRequest($"simulator.{field} is out of range.", $"simulator.{field}");

    private Directive? With(ReadOnlySpan<char> key, ReadOnlySpan<char> value) => key switch
    {
        "ttft_ms" => Number(value) is { } number ? this with { TtftMs = number } : null,
        "token_ms" => Number(value) is { } number ? this with { TokenMs = number } : null,
        "tokens" => Integer(value) is { } number ? this with { Tokens = number } : null,
        "text" => this with { Text = value.ToString() },
        "seed" => long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seed) ? this with { Seed = seed } : null,
        "reasoning" => bool.TryParse(value, out var flag) ? this with { Reasoning = flag } : null,
        "reasoning_field" => this with { ReasoningField = value.ToString() },
        "tool" => this with { Tool = value.ToString() },
        "fault" => this with { Fault = value.ToString() },
        "fault_after" => Integer(value) is { } number ? this with { FaultAfter = number } : null,
        "retry_after" => Integer(value) is { } number ? this with { RetryAfter = number } : null,
        "fault_bytes" => Integer(value) is { } number ? this with { FaultBytes = number } : null,
        _ => null,
    };

    private static double? Number(ReadOnlySpan<char> value) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;

    private static int? Integer(ReadOnlySpan<char> value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
