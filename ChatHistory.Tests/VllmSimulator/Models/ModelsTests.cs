using System.Net;
using System.Text.Json;

namespace ChatHistory.Tests.VllmSimulator.Models;

public sealed class ModelsTests
{
    [Fact]
    public async Task List_IsVllms_AndSaysWhoServes()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:Model=Qwen/Qwen3-0.6B"));

        var list = await own.Server.Client.GetStringAsync("/v1/models");

        var permission = JsonElement.Parse(list).GetProperty("data")[0].GetProperty("permission")[0].GetProperty("id").GetString();
        Assert.Equal(
            $$"""{"object":"list","data":[{"id":"Qwen/Qwen3-0.6B","object":"model","created":1700000000,"owned_by":"chathistory-simulator","root":"Qwen/Qwen3-0.6B","parent":null,"max_model_len":32768,"permission":[{"id":"{{permission}}","object":"model_permission","created":1700000000,"allow_create_engine":false,"allow_sampling":true,"allow_logprobs":true,"allow_search_indices":false,"allow_view":true,"allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}]}]}""",
            list);
    }

    [Fact]
    public async Task OneModel_IsFoundByItsNameWithSlashes()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:Model=Qwen/Qwen3-0.6B"));

        using var known = await own.Server.Client.GetAsync("/v1/models/Qwen/Qwen3-0.6B");
        using var unknown = await own.Server.Client.GetAsync("/v1/models/other");

        Assert.Equal(HttpStatusCode.OK, known.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Fact]
    public async Task ApiKey_GuardsV1Only()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:ApiKey=secret"));
        using var withKey = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { { "Authorization", "Bearer secret" } } };

        using var refused = await own.Server.Client.GetAsync("/v1/models");
        using var granted = await own.Server.Client.SendAsync(withKey);
        using var health = await own.Server.Client.GetAsync("/health");

        Assert.Equal([401, 200, 200], new[] { refused, granted, health }.Select(response => (int)response.StatusCode));
        Assert.Equal("""{"error":"Unauthorized"}""", await refused.Content.ReadAsStringAsync());
    }
}
