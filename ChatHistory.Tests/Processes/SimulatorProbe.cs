using System.Globalization;
using System.Text.Json;

namespace ChatHistory.Tests.Processes;

/// <summary>What the simulator says about itself: the requests that reached it, and how many it is answering.</summary>
internal sealed class SimulatorProbe(ServiceProcess simulator) : IDisposable
{
    private readonly HttpClient _client = new() { BaseAddress = simulator.Addresses[0] };

    /// <summary>
    /// The recorded requests whose body contains a text that only one test uses. Questions for a count of tokens are not among them: whether
    /// the gateway has any is its own affair.
    /// </summary>
    public async Task<JsonElement[]> RequestsWithAsync(string text) => [.. (await AllWithAsync(text)).Where(request => !IsCount(request))];

    /// <summary>How often the tokens of a prompt with that text were counted.</summary>
    public async Task<int> CountsWithAsync(string text) => (await AllWithAsync(text)).Count(IsCount);

    /// <summary>Waits until the one request with that text has the outcome: running, answered or aborted.</summary>
    public Task WaitForOutcomeAsync(string text, string outcome, TimeSpan? limit = null) => Eventually.GetAsync(
        async () => string.Join(", ", (await RequestsWithAsync(text)).Select(request => request.GetProperty("outcome").GetString())),
        outcomes => outcomes == outcome,
        limit);

    /// <summary>Waits until no request is being answered: <c>vllm:num_requests_running</c> is 0.</summary>
    public Task WaitUntilIdleAsync(TimeSpan? limit = null) => Eventually.GetAsync(() => MetricAsync("vllm:num_requests_running"), running => running == 0, limit);

    public async Task<double> MetricAsync(string name)
    {
        var lines = (await _client.GetStringAsync("/metrics")).Split('\n');
        var line = lines.Single(line => line.StartsWith(name, StringComparison.Ordinal));
        return double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }

    public void Dispose() => _client.Dispose();

    private async Task<IEnumerable<JsonElement>> AllWithAsync(string text)
    {
        var recorded = JsonElement.Parse(await _client.GetStringAsync("/simulator/requests"));
        return recorded.GetProperty("data").EnumerateArray().Where(request => request.GetRawText().Contains(text, StringComparison.Ordinal));
    }

    private static bool IsCount(JsonElement request) => request.GetProperty("path").GetString() == "/tokenize";
}
