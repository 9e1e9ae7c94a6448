using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ChatHistory.Bench.Targets;

namespace ChatHistory.Bench.Load;

/// <summary>wrk, for answers that are not streamed: it takes less of the machine than anything written here would.</summary>
internal static class Wrk
{
    public static bool IsThere => Programs.Find("wrk") is not null;

    /// <param name="answerBytes">How long an answer is at least; shorter ones on average are an error.</param>
    public static async Task<Slice> RunAsync(Target target, string folder, string model, int connections, int seconds, int answerBytes)
    {
        var script = Path.Combine(folder, "wrk.lua");
        await File.WriteAllTextAsync(script, Script(target, model));
        var start = new ProcessStartInfo(Programs.Find("wrk")!) { RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var argument in (string[])["-t1", $"-c{connections}", $"-d{seconds}s", "--timeout", "20s", "-s", script, $"http://127.0.0.1:{target.Port}"])
        {
            start.ArgumentList.Add(argument);
        }

        using var wrk = Process.Start(start)!;
        var output = await wrk.StandardOutput.ReadToEndAsync();
        await wrk.WaitForExitAsync();
        var line = output.Split('\n').FirstOrDefault(line => line.StartsWith("{\"requests\"", StringComparison.Ordinal))
            ?? throw new InvalidOperationException($"wrk said: {output}");
        using var summary = JsonDocument.Parse(line);
        double Number(string name) => summary.RootElement.GetProperty(name).GetDouble();
        var answers = (long)Number("requests");
        var isShort = answers > 0 && Number("bytes") / answers < answerBytes;
        return new Slice
        {
            Answers = answers,
            Errors = (long)Number("errors") + (isShort ? answers : 0),
            Seconds = Number("us") / 1e6,
            // Nothing within the slice: it takes longer than that.
            P50 = answers > 0 ? Number("p50") : seconds * 1e6,
            P99 = answers > 0 ? Number("p99") : seconds * 1e6,
        };
    }

    // Its own random part makes the questions of each slice new ones, the counter each question of it.
    private static string Script(Target target, string model)
    {
        var body = Question.Body(model, stream: false);
        var parts = body.Split(Question.NumberPlace);
        var head = Question.Head(target, body.Length).Replace("\r\n", "\\r\\n", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
        var slice = Random.Shared.Next().ToString("x8", CultureInfo.InvariantCulture);
        return $$"""
            local before = "{{head}}" .. [==[{{parts[0]}}{{slice}}]==]
            local behind = [==[{{parts[1]}}]==]
            local format = string.format
            local count = 0
            function request()
              count = count + 1
              return before .. format("%08x", count) .. behind
            end
            function done(summary, latency)
              local e = summary.errors
              io.write(format('{"requests":%d,"bytes":%d,"us":%d,"errors":%d,"p50":%.1f,"p99":%.1f}\n', summary.requests, summary.bytes, summary.duration,
                e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
            end
            """;
    }
}
