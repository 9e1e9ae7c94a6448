namespace ChatHistory.Tests.VllmSimulator.Metrics;

public sealed class ServerStateTests
{
    [Fact]
    public async Task Metrics_CountWhatHappened()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync());
        await own.Server.PostForTextAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hi"}],"simulator":{"tokens":5}}""");
        await own.Server.PostForTextAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"max_tokens":2}""");
        await own.Server.PostForTextAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"simulator":{"fault":"close"}}""");

        var metrics = await own.Server.Client.GetStringAsync("/metrics");

        foreach (var line in new[]
        {
            "# TYPE vllm:num_requests_running gauge",
            "vllm:num_requests_running{engine=\"0\",model_name=\"chathistory-simulator\"} 0.0",
            "vllm:num_requests_waiting{engine=\"0\",model_name=\"chathistory-simulator\"} 0.0",
            "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"chathistory-simulator\"} 0.0",
            "vllm:prompt_tokens_total{engine=\"0\",model_name=\"chathistory-simulator\"} 33.0",
            "vllm:generation_tokens_total{engine=\"0\",model_name=\"chathistory-simulator\"} 10.0",
            "vllm:request_success_total{engine=\"0\",model_name=\"chathistory-simulator\",finished_reason=\"stop\"} 1.0",
            "vllm:request_success_total{engine=\"0\",model_name=\"chathistory-simulator\",finished_reason=\"length\"} 1.0",
            "vllm:request_success_total{engine=\"0\",model_name=\"chathistory-simulator\",finished_reason=\"abort\"} 1.0",
            "vllm:time_to_first_token_seconds_bucket{engine=\"0\",model_name=\"chathistory-simulator\",le=\"0.001\"} 3.0",
            "vllm:time_to_first_token_seconds_bucket{engine=\"0\",model_name=\"chathistory-simulator\",le=\"+Inf\"} 3.0",
            "vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"chathistory-simulator\"} 3.0",
        })
        {
            Assert.Contains($"{line}\n", metrics, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("/version", """{"version":"0.0.0+chathistory.simulator"}""")]
    [InlineData("/load", """{"server_load":0}""")]
    [InlineData("/ping", "")]
    public async Task SmallRoutes_Answer(string path, string body)
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync());

        Assert.Equal(body, await own.Server.Client.GetStringAsync(path));
    }
}
