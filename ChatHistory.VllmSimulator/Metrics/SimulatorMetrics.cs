using System.Globalization;
using System.Text;
using ChatHistory.VllmSimulator.Generation;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator.Metrics;

/// <summary>
/// The counters behind <c>/metrics</c>, with vLLM's names. Plain interlocked numbers instead of a <c>Meter</c>: what is asked for is
/// vLLM's text, and a generation should cost next to nothing.
/// </summary>
internal sealed class SimulatorMetrics(IOptions<SimulatorOptions> options)
{
    // vLLM's own buckets of vllm:time_to_first_token_seconds.
    private static readonly double[] s_buckets =
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560];

    // A round number for the size of a cache that is not there: 64 full contexts.
    private const double CachedContexts = 64;

    private readonly long[] _firstTokens = new long[s_buckets.Length + 1];
    private long _firstTokenTicks;
    private long _running;
    private long _cachedTokens;
    private long _promptTokens;
    private long _generationTokens;
    private long _stopped;
    private long _cut;
    private long _aborted;

    public long Running => Interlocked.Read(ref _running);

    public long Aborted => Interlocked.Read(ref _aborted);

    public void Started(int promptTokens)
    {
        Interlocked.Increment(ref _running);
        Interlocked.Add(ref _cachedTokens, promptTokens);
        Interlocked.Add(ref _promptTokens, promptTokens);
    }

    public void FirstToken(TimeSpan after)
    {
        var bucket = Array.BinarySearch(s_buckets, after.TotalSeconds);
        Interlocked.Increment(ref _firstTokens[bucket < 0 ? ~bucket : bucket]);
        Interlocked.Add(ref _firstTokenTicks, after.Ticks);
    }

    /// <summary>The end of what <see cref="Started"/> began; no reason means that the client left or a fault cut it.</summary>
    public void Ended(int promptTokens, int generatedTokens, string? finishReason)
    {
        Interlocked.Decrement(ref _running);
        Interlocked.Add(ref _cachedTokens, -promptTokens);
        Interlocked.Add(ref _generationTokens, generatedTokens);
        switch (finishReason)
        {
            case null:
                Interlocked.Increment(ref _aborted);
                break;
            case Answer.Length:
                Interlocked.Increment(ref _cut);
                break;
            default:
                Interlocked.Increment(ref _stopped);
                break;
        }
    }

    /// <summary>The Prometheus text format, version 0.0.4.</summary>
    public string ToPrometheusText()
    {
        var labels = $"engine=\"0\",model_name=\"{options.Value.Model.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
        var text = new StringBuilder();
        Family("num_requests_running", "gauge", "Number of requests in model execution batches.");
        Sample("num_requests_running", "", Running);
        Family("num_requests_waiting", "gauge", "Number of requests waiting to be processed.");
        Sample("num_requests_waiting", "", 0);
        Family("kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.");
        Sample("kv_cache_usage_perc", "", Math.Min(1, Interlocked.Read(ref _cachedTokens) / (CachedContexts * options.Value.MaxModelLen)));
        Family("prompt_tokens", "counter", "Number of prefill tokens processed.");
        Sample("prompt_tokens_total", "", Interlocked.Read(ref _promptTokens));
        Family("generation_tokens", "counter", "Number of generation tokens processed.");
        Sample("generation_tokens_total", "", Interlocked.Read(ref _generationTokens));
        Family("request_success", "counter", "Count of successfully processed requests.");
        Sample("request_success_total", ",finished_reason=\"stop\"", Interlocked.Read(ref _stopped));
        Sample("request_success_total", ",finished_reason=\"length\"", Interlocked.Read(ref _cut));
        Sample("request_success_total", ",finished_reason=\"abort\"", Aborted);
        Histogram();
        return text.ToString();

        void Family(string name, string type, string help) =>
            text.Append(CultureInfo.InvariantCulture, $"# HELP vllm:{name} {help}\n# TYPE vllm:{name} {type}\n");

        void Sample(string name, string moreLabels, double value) =>
            text.Append(CultureInfo.InvariantCulture, $"vllm:{name}{{{labels}{moreLabels}}} {value:0.0###############}\n");

        void Histogram()
        {
            Family("time_to_first_token_seconds", "histogram", "Histogram of time to first token in seconds.");
            var total = 0L;
            for (var i = 0; i < _firstTokens.Length; i++)
            {
                total += Interlocked.Read(ref _firstTokens[i]);
                var bound = i < s_buckets.Length ? s_buckets[i].ToString("0.0##", CultureInfo.InvariantCulture) : "+Inf";
                Sample("time_to_first_token_seconds_bucket", $",le=\"{bound}\"", total);
            }

            Sample("time_to_first_token_seconds_count", "", total);
            Sample("time_to_first_token_seconds_sum", "", TimeSpan.FromTicks(Interlocked.Read(ref _firstTokenTicks)).TotalSeconds);
        }
    }
}
