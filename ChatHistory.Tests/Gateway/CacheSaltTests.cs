using System.Text.Json;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>A prefix cache for each owner: what the model server is told apart by.</summary>
public sealed class CacheSaltTests
{
    [Fact]
    public async Task EachOwner_HasASaltOfItsOwn()
    {
        await using var model = await ScriptedModelServer.StartAsync();
        await using var system = await RunningSystem.StartAsync(model.Address, ("Identity__AdminKey", RunningSystem.AdminKey), ("Vllm__CacheSaltPerOwner", "true"));
        using var ada = await system.ClientOfAsync("ada");
        using var bob = await system.ClientOfAsync("bob");

        var first = await SaltOfAsync(ada, model, "hello");
        var second = await SaltOfAsync(ada, model, "hello again", session: true);
        var others = await SaltOfAsync(bob, model, "hello");
        var given = await SaltOfAsync(ada, model, "hello", salt: "my own");

        Assert.True(first!.Length >= 43, "vLLM asks for 256 bits");
        Assert.Equal(first, second);
        Assert.NotEqual(first, others);
        Assert.Equal("my own", given);
    }

    [Fact]
    public async Task UnlessAskedFor_TheBodyIsNotTouched()
    {
        await using var model = await ScriptedModelServer.StartAsync();
        await using var system = await RunningSystem.StartAsync(model.Address, ("Identity__AdminKey", RunningSystem.AdminKey));
        using var ada = await system.ClientOfAsync("ada");

        Assert.Null(await SaltOfAsync(ada, model, "hello"));
    }

    private static async Task<string?> SaltOfAsync(HttpClient client, ScriptedModelServer model, string prompt, string? salt = null, bool session = false)
    {
        var body = new Dictionary<string, object> { ["model"] = "m", ["messages"] = new[] { new { role = "user", content = prompt } } };
        if (salt is not null)
        {
            body["cache_salt"] = salt;
        }

        if (session)
        {
            var list = await client.GetJsonAsync("/v1/sessions");
            body["session_id"] = list.Body.GetProperty("sessions")[0].GetProperty("session_id").GetString()!;
        }

        model.Requests.Clear();
        model.NextBody("""{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi."},"finish_reason":"stop"}]}""");
        var answer = await client.PostJsonAsync(ChatRequests.Completions, JsonSerializer.Serialize(body));
        Assert.True(answer.Status == System.Net.HttpStatusCode.OK, answer.Text);
        return JsonElement.Parse(Assert.Single(model.Requests)).TryGetProperty("cache_salt", out var sent) ? sent.GetString() : null;
    }
}
