using System.Net.Http.Json;
using System.Text.Json;

namespace ChatHistory.Tests.VllmSimulator.Recording;

public sealed class RecordingTests
{
    [Fact]
    public async Task Requests_AreKeptAsTheyCame()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync());
        own.Server.Client.DefaultRequestHeaders.Add("Authorization", "Bearer chk_0123456789abcdef");
        const string Body = """{"messages": [{"role":"user","content":"\ud83d"}], "x": 1e308, "x": 1.50}""";
        await own.Server.PostForTextAsync("/v1/chat/completions", Body);
        await own.Server.PostForTextAsync("/v1/completions", "no JSON “at all”");

        var text = await own.Server.Client.GetStringAsync("/simulator/requests");

        var requests = JsonElement.Parse(text);
        Assert.Equal(2, requests.GetProperty("received").GetInt32());
        var (first, second) = (requests.GetProperty("data")[0], requests.GetProperty("data")[1]);
        Assert.Equal(Body, first.GetProperty("body").GetRawText());
        Assert.Equal("no JSON “at all”", second.GetProperty("body_text").GetString());
        Assert.Equal("/v1/completions", second.GetProperty("path").GetString());
        Assert.Equal("***cdef", first.GetProperty("headers").GetProperty("authorization").GetString());
        Assert.Equal("1", first.GetProperty("headers").GetProperty("x-request-id").GetString());
        Assert.Equal(("answered", 400), (first.GetProperty("outcome").GetString(), first.GetProperty("status").GetInt32()));
    }

    [Fact]
    public async Task OldRequests_AreForgotten_AndAllOnDemand()
    {
        await using var own = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:RecordedRequests=2"));
        for (var i = 0; i < 3; i++)
        {
            await own.Server.PostForTextAsync("/tokenize", $$"""{"prompt":"{{i}}"}""");
        }

        var requests = await own.Server.Client.GetFromJsonAsync<JsonElement>("/simulator/requests");
        Assert.Equal(3, requests.GetProperty("received").GetInt32());
        Assert.Equal(["1", "2"], requests.GetProperty("data").EnumerateArray().Select(request => request.GetProperty("body").GetProperty("prompt").GetString()));

        using var deleted = await own.Server.Client.DeleteAsync("/simulator/requests");
        Assert.Equal("""{"received":0,"data":[]}""", await own.Server.Client.GetStringAsync("/simulator/requests"));
    }
}
