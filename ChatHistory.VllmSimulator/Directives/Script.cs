using System.Text;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Faults;

namespace ChatHistory.VllmSimulator.Directives;

/// <summary>How one request will be treated: the configured defaults and all forms of <see cref="Directive"/> resolved into one.</summary>
internal sealed record Script(Directive Directive, FaultKind Fault, TimeSpan TimeToFirstToken, TimeSpan TimePerToken)
{
    private const int DefaultFaultAfter = 3;
    private const int DefaultFaultBytes = 10 * 1024 * 1024;

    private static readonly Directive s_nothing = new();

    public int FaultAfter => Directive.FaultAfter ?? DefaultFaultAfter;

    public int FaultBytes => Directive.FaultBytes ?? DefaultFaultBytes;

    public int RetryAfter => Directive.RetryAfter ?? 1;

    public long? Seed => Directive.Seed;

    /// <summary>Resolves what applies to one request, or says why that cannot be.</summary>
    /// <param name="options">The configured defaults.</param>
    /// <param name="header">The header <see cref="Directives.Directive.HeaderName"/>, if any.</param>
    /// <param name="userText">The last user message, which may hold <c>[[simulator: …]]</c>.</param>
    /// <param name="body">The body's field <c>simulator</c>.</param>
    /// <param name="problem">The answer if the result is null.</param>
    public static Script? Resolve(SimulatorOptions options, string? header, ReadOnlySpan<byte> userText, Directive? body, out VllmError? problem)
    {
        var directive = s_nothing;
        if (!TryOverride(header, ref directive, out problem) || !TryOverride(FindInText(userText), ref directive, out problem))
        {
            return null;
        }

        directive = directive.OverriddenBy(body);
        problem = directive.Validate();
        if (problem is not null)
        {
            return null;
        }

        FaultCatalog.TryFind(directive.Fault ?? options.Fault, out var fault);
        return new Script(
            directive,
            fault,
            directive.TtftMs is { } first ? TimeSpan.FromMilliseconds(first) : options.TimeToFirstToken,
            directive.TokenMs is { } next ? TimeSpan.FromMilliseconds(next) : options.TimePerToken);
    }

    private static bool TryOverride(string? text, ref Directive directive, out VllmError? problem)
    {
        problem = null;
        if (text is null)
        {
            return true;
        }

        if (Directive.Parse(text, out var message) is not { } parsed)
        {
            problem = VllmError.BadRequest(message!, "simulator");
            return false;
        }

        directive = directive.OverriddenBy(parsed);
        return true;
    }

    private static string? FindInText(ReadOnlySpan<byte> text)
    {
        var open = "[[simulator:"u8;
        var start = text.IndexOf(open);
        if (start < 0)
        {
            return null;
        }

        var inner = text[(start + open.Length)..];
        var end = inner.IndexOf("]]"u8);
        return end < 0 ? null : Encoding.UTF8.GetString(inner[..end]);
    }
}
