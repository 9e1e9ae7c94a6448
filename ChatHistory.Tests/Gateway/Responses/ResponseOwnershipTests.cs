using System.Net;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway.Responses;

/// <summary>Somebody else's response is answered like one that nobody has, on every way in.</summary>
public sealed class ResponseOwnershipTests(KeyedSystem system) : IClassFixture<KeyedSystem>
{
    private const string Path = "/v1/responses";

    [Fact]
    public async Task SomebodyElsesResponse_DoesNotExist()
    {
        using var owner = await system.Running.ClientOfAsync("kim");
        using var intruder = await system.Running.ClientOfAsync("lea");
        var created = await owner.PostJsonAsync(Path, $$"""{"input":"{{ChatRequests.NewPrompt()}}"}""");
        Assert.Equal(HttpStatusCode.OK, created.Status);
        var (theirs, nobodys) = (created.Headers["X-Message-Id"], Guid.NewGuid().ToString());
        foreach (var ask in Ways(intruder))
        {
            var (refused, unknown) = (await ask(theirs), await ask(nobodys));

            Assert.True(refused.Status is HttpStatusCode.NotFound or HttpStatusCode.BadRequest, refused.Text);
            Assert.Equal((unknown.Status, unknown.Text.Replace(nobodys, theirs, StringComparison.Ordinal)), (refused.Status, refused.Text));
        }

        var after = await owner.GetJsonAsync($"{Path}/resp_{theirs}");
        Assert.Equal(created.Body.GetProperty("output").GetRawText(), after.Body.GetProperty("output").GetRawText());
        Assert.Empty(await system.Simulator.RequestsWithAsync("intruding"));
    }

    private static IEnumerable<Func<string, Task<Answer>>> Ways(HttpClient client) =>
    [
        id => client.GetJsonAsync($"{Path}/resp_{id}"),
        id => client.GetJsonAsync($"{Path}/resp_{id}?stream=true"),
        id => client.GetJsonAsync($"{Path}/resp_{id}/input_items"),
        id => client.PostJsonAsync($"{Path}/resp_{id}/cancel", "{}"),
        id => client.SendJsonAsync(HttpMethod.Delete, $"{Path}/resp_{id}"),
        id => client.PostJsonAsync(Path, $$"""{"input":"intruding","previous_response_id":"resp_{{id}}"}"""),
        id => client.PostJsonAsync(Path, $$"""{"input":"intruding","previous_response_id":"resp_{{id}}","store":false}"""),
        id => client.PostJsonAsync(Path, $$"""{"input":[{"role":"user","content":"intruding"},{"type":"item_reference","id":"msg_{{id}}"}]}"""),
        id => client.PostJsonAsync($"{Path}/input_tokens", $$"""{"input":"intruding","previous_response_id":"resp_{{id}}"}"""),
    ];
}
