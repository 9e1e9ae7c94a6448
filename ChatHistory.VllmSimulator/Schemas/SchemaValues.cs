using System.Text.Json;

namespace ChatHistory.VllmSimulator.Schemas;

/// <summary>Values of the simple types that keep within a schema's bounds.</summary>
internal static class SchemaValues
{
    public const string Word = "simulated";

    // "minLength" may say a billion.
    private const int MaxLength = 100_000;

    public static string Text(JsonElement schema)
    {
        var text = schema.TryGetProperty("format", out var format) && format.ValueKind is JsonValueKind.String ? OfFormat(format.GetString()!) : Word;
        var (min, max) = ((int)Math.Clamp(Bound(schema, "minLength", 0), 0, MaxLength), (int)Math.Clamp(Bound(schema, "maxLength", MaxLength), 0, MaxLength));
        text = text.Length < min ? text.PadRight(min, 'x') : text;
        return text.Length > max ? text[..max] : text;
    }

    public static long Integer(JsonElement schema)
    {
        var (lowest, highest) = Range(schema, 1);
        var value = (long)Math.Clamp(1, Math.Ceiling(lowest), Math.Max(Math.Ceiling(lowest), Math.Floor(highest)));
        var step = (long)Bound(schema, "multipleOf", 1);
        return step > 1 ? NextMultiple(value, step) : value;
    }

    public static double Number(JsonElement schema)
    {
        // Exclusive bounds are kept away from by half of the way to the other one.
        var (lowest, highest) = Range(schema, 0);
        if (schema.TryGetProperty("exclusiveMinimum", out _) || schema.TryGetProperty("exclusiveMaximum", out _))
        {
            var from = double.IsNegativeInfinity(lowest) ? highest - 2 : lowest;
            var to = double.IsPositiveInfinity(highest) ? from + 2 : highest;
            return (from + to) / 2;
        }

        var value = Math.Clamp(1, lowest, Math.Max(lowest, highest));
        var step = Bound(schema, "multipleOf", 0);
        return step > 0 ? Math.Ceiling(value / step) * step : value;
    }

    private static (double Lowest, double Highest) Range(JsonElement schema, double exclusiveStep) => (
        Math.Max(Bound(schema, "minimum", double.NegativeInfinity), Bound(schema, "exclusiveMinimum", double.NegativeInfinity) + exclusiveStep),
        Math.Min(Bound(schema, "maximum", double.PositiveInfinity), Bound(schema, "exclusiveMaximum", double.PositiveInfinity) - exclusiveStep));

    public static double Bound(JsonElement schema, string name, double otherwise) =>
        schema.TryGetProperty(name, out var bound) && bound.ValueKind is JsonValueKind.Number ? bound.GetDouble() : otherwise;

    private static long NextMultiple(long value, long step) => (long)Math.Ceiling((double)value / step) * step;

    private static string OfFormat(string format) => format switch
    {
        "date-time" => "2026-01-01T00:00:00Z",
        "date" => "2026-01-01",
        "time" => "00:00:00Z",
        "duration" => "PT1S",
        "email" or "idn-email" => "simulated@example.com",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" or "url" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => Word,
    };
}
