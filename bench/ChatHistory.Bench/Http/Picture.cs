using System.Globalization;
using System.Text;
using ChatHistory.Bench.Load;
using ChatHistory.Bench.Targets;

namespace ChatHistory.Bench.Http;

/// <summary>The ratios to YARP as bars, for the README: an SVG without script or font of its own, in the reader's colours.</summary>
internal static class Picture
{
    private const int LabelWidth = 250;
    private const int BarWidth = 360;
    private const int Width = LabelWidth + BarWidth + 150;
    private const int BarHeight = 14;

    /// <summary>A bar that is longer is cut there; its number says how long it is.</summary>
    private const double Longest = 3;

    private static readonly (string Name, string Class)[] s_bars = [(Target.Product, "product"), (Target.Nginx, "nginx"), (Target.Portkey, "portkey")];

    public static string Of(Machine machine, Results results)
    {
        var body = new StringBuilder();
        var y = 28;
        Text(body, 0, y, "title", $"ChatHistory keeps everything; YARP, nginx and Portkey keep nothing. YARP = 1");
        y += 20;
        Text(body, 0, y, "small", $"{machine.Cores} cores for load, model, gateway and storage together; {machine.Processor}; {machine.Runtime}");
        y = Panel(body, y + 34, "Answers per second (more is better)", results, slice => slice.Rate,
            (Workload.Json64, "JSON, 64 connections"), (Workload.Think64, "model thinks 20 ms, 64"), (Workload.Think256, "model thinks 20 ms, 256"), (Workload.Burst32, "SSE at full speed, 32"));
        y = Panel(body, y + 14, "Time of a chunk from model to client, p50 (less is better)", results, slice => slice.TransitP50,
            (Workload.Paced32, "SSE at 5 ms a chunk, 32"), (Workload.Paced128, "SSE at 5 ms a chunk, 128"));
        y = Panel(body, y + 14, "Processor time of all processes (less is better)", results, slice => slice.Cpu,
            (Workload.Json64, "a JSON answer, 64"), (Workload.Paced32, "a stream at 5 ms a chunk, 32"));
        return $$"""
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{Width}} {{y}}" width="{{Width}}" height="{{y}}" role="img" aria-label="ChatHistory beside YARP, nginx and Portkey">
            <style>
            text { font: 13px system-ui, sans-serif; fill: #1f2328 }
            .title { font-size: 15px; font-weight: 600 } .head { font-weight: 600 } .small { font-size: 11px; fill: #59636e }
            .product { fill: #0969da } .nginx { fill: #8c959f } .portkey { fill: #bf8700 } .one { stroke: #59636e; stroke-dasharray: 3 3 }
            @media (prefers-color-scheme: dark) {
            text { fill: #e6edf3 } .small { fill: #9198a1 } .product { fill: #4493f8 } .nginx { fill: #6e7681 } .portkey { fill: #d29922 } .one { stroke: #9198a1 }
            }
            </style>
            {{body}}</svg>

            """;
    }

    private static int Panel(StringBuilder body, int y, string title, Results results, Func<Slice, double> value, params ReadOnlySpan<(Workload Workload, string Label)> rows)
    {
        Text(body, 0, y, "head", $"{title}");
        y += 12;
        var top = y;
        foreach (var (workload, label) in rows)
        {
            Text(body, 0, y + BarHeight, "", $"{label}");
            foreach (var (name, style) in s_bars)
            {
                if (results.Ratio(workload.Name, name, Target.Yarp, value) is not { } ratio)
                {
                    continue;
                }

                var width = Math.Max(1, Math.Min(ratio, Longest) / Longest * BarWidth);
                body.Append(CultureInfo.InvariantCulture, $"<rect class=\"{style}\" x=\"{LabelWidth}\" y=\"{y}\" width=\"{width:0.#}\" height=\"{BarHeight - 2}\" rx=\"2\"/>\n");
                Text(body, LabelWidth + width + 6, y + BarHeight - 4, "small", $"{name} {ratio:0.00}{(ratio > Longest ? " (cut)" : "")}");
                y += BarHeight;
            }

            y += 8;
        }

        var one = LabelWidth + (BarWidth / Longest);
        body.Append(CultureInfo.InvariantCulture, $"<line class=\"one\" x1=\"{one:0.#}\" x2=\"{one:0.#}\" y1=\"{top - 4}\" y2=\"{y - 6}\"/>\n");
        return y + 10;
    }

    private static void Text(StringBuilder body, double x, double y, string style, FormattableString text) =>
        body.Append(CultureInfo.InvariantCulture, $"<text class=\"{style}\" x=\"{x:0.#}\" y=\"{y:0.#}\">{System.Security.SecurityElement.Escape(text.ToString(CultureInfo.InvariantCulture))}</text>\n");
}
