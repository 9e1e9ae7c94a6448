using System.Globalization;
using System.Text;
using Serilog.Core;
using Serilog.Events;

namespace ChatHistory.ServiceDefaults;

/// <summary>
/// Keeps what others wrote inside its line. Paths, ids and names in a log come from requests, and one with a line feed in it could write lines of its
/// own: <c>GET /v1/x%0a2026-01-01 00:00:00.000 ERR …</c>. Control characters, and those that turn the reading direction round, are written as escapes;
/// an exception, which has lines by nature, gets them indented, so that no line but a real one begins with a time.
/// </summary>
internal sealed class LogLineEnricher : ILogEventEnricher
{
    /// <summary>The property that stands in the place of <c>{Exception}</c>.</summary>
    public const string Failure = "Failure";

    public void Enrich(LogEvent logEvent, ILogEventPropertyFactory propertyFactory)
    {
        List<LogEventProperty>? cleaned = null;
        foreach (var (name, value) in logEvent.Properties)
        {
            if (value is ScalarValue { Value: string text } && text.Any(IsForged))
            {
                (cleaned ??= []).Add(new LogEventProperty(name, new ScalarValue(Escaped(text))));
            }
        }

        foreach (var property in cleaned ?? [])
        {
            logEvent.AddOrUpdateProperty(property);
        }

        if (logEvent.Exception is { } exception)
        {
            var lines = exception.ToString().Split('\n').Select(line => $"    {Escaped(line.TrimEnd('\r'))}{Environment.NewLine}");
            logEvent.AddOrUpdateProperty(new LogEventProperty(Failure, new ScalarValue(string.Concat(lines))));
        }
    }

    private static bool IsForged(char character) =>
        char.IsControl(character) || character is (>= '\u2028' and <= '\u202E') or (>= '\u2066' and <= '\u2069');

    private static string Escaped(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            _ = IsForged(character) && character != '\t' ? escaped.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}") : escaped.Append(character);
        }

        return escaped.ToString();
    }
}
