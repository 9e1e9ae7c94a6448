namespace ChatHistory.Tests.VllmSimulator.Generation;

public sealed class PaceTests
{
    private const string Path = "/v1/chat/completions";

    [Fact]
    public async Task Stream_KeepsThePaceOfTheClock()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync());
        var clock = own.Server.Clock;
        using var response = await own.Server.PostAsync(
            Path,
            """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"simulator":{"tokens":3,"ttft_ms":1000,"token_ms":100}}""",
            HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());

        var role = ReadEventAsync(reader);
        Assert.False(role.IsCompleted);
        clock.Advance(TimeSpan.FromMilliseconds(1000));
        Assert.Contains("\"role\":\"assistant\"", await role, StringComparison.Ordinal);
        Assert.Contains("\"content\":\"I\"", await ReadEventAsync(reader), StringComparison.Ordinal);

        var second = ReadEventAsync(reader);
        Assert.False(second.IsCompleted);
        clock.Advance(TimeSpan.FromMilliseconds(100));
        Assert.Contains("\"content\":\" am\"", await second, StringComparison.Ordinal);

        clock.Advance(TimeSpan.FromMilliseconds(100));
        Assert.Contains("\"content\":\" a\"", await ReadEventAsync(reader), StringComparison.Ordinal);
        Assert.EndsWith("[DONE]\n\n", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task WholeAnswer_TakesAsLongAsItsTokens()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:TimeToFirstToken=00:00:01", "--Simulator:TimePerToken=00:00:00.1"));
        var answered = own.Server.PostAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"simulator":{"tokens":11}}""");
        await own.Server.WaitForRequestsAsync(requests => requests.GetProperty("received").GetInt64() == 1);

        own.Server.Clock.Advance(TimeSpan.FromMilliseconds(1999));
        Assert.Equal("running", (await own.Server.WaitForRequestsAsync(_ => true)).GetProperty("data")[0].GetProperty("outcome").GetString());

        // Half of the way may have been made before the request began to wait, so the rest is given twice.
        own.Server.Clock.Advance(TimeSpan.FromSeconds(2));
        using var response = await answered;
        Assert.True(response.IsSuccessStatusCode);
    }

    [Fact]
    public async Task LoadingModel_AnswersNothingButHealth()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:StartupDelay=00:01:00"));

        Assert.Equal([503, 503, 200], await StatusesAsync());
        own.Server.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal([200, 200, 200], await StatusesAsync());

        async Task<List<int>> StatusesAsync()
        {
            var statuses = new List<int>();
            foreach (var path in new[] { "/health", "/v1/models", "/alive" })
            {
                using var response = await own.Server.Client.GetAsync(path);
                statuses.Add((int)response.StatusCode);
            }

            return statuses;
        }
    }

    private static async Task<string> ReadEventAsync(StreamReader reader)
    {
        var data = await reader.ReadLineAsync();
        Assert.Equal("", await reader.ReadLineAsync());
        return data!;
    }
}
