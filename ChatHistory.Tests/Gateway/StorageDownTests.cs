using System.Diagnostics;
using System.Net;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>The storage service is killed: nothing is answered that could not be kept, and nothing that was answered is lost.</summary>
public sealed class StorageDownTests(ImpatientSystem system) : IClassFixture<ImpatientSystem>
{
    private const string Slow = """{"tokens":150,"token_ms":10}""";

    private HttpClient Client => system.Client;

    [Fact]
    public async Task BeforeARequest_IsUnavailable_AndNoModelIsAsked()
    {
        var sessionId = (await Client.PostJsonAsync("/v1/sessions", """{"user_id":"ada"}""")).Body.GetProperty("session_id").GetString();
        await system.Running.Storage.KillAsync();

        var prompt = NewPrompt();
        foreach (var body in new[] { Body(prompt, stream: true), Body(prompt, stream: false), Body(prompt, stream: true, more: $"\"store\":false,\"session_id\":\"{sessionId}\"") })
        {
            var began = Stopwatch.GetTimestamp();
            AssertUnavailable(await Client.PostJsonAsync(Completions, body));
            Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        }

        var refused = await Task.WhenAll(
            Client.GetJsonAsync("/v1/sessions"),
            Client.GetJsonAsync($"/v1/sessions/{sessionId}"),
            Client.GetJsonAsync($"/v1/sessions/{sessionId}/messages"),
            Client.GetJsonAsync("/v1/users/ada/history"),
            Client.PostJsonAsync("/v1/sessions", """{"user_id":"ada"}"""),
            Client.PostJsonAsync($"/v1/sessions/{sessionId}/messages", """{"role":"user","content":"Hello"}"""),
            Client.SendJsonAsync(HttpMethod.Patch, $"/v1/sessions/{sessionId}", """{"title":"x"}"""),
            Client.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{sessionId}"));
        Assert.All(refused, AssertUnavailable);
        Assert.Empty(await system.Simulator.RequestsWithAsync(prompt));

        // What needs no history goes on.
        Assert.True((await Client.StreamAsync(Body(prompt, stream: true, more: "\"store\":false"))).IsDone);
        Assert.Equal(HttpStatusCode.OK, (await Client.PostJsonAsync(Completions, Body(prompt, stream: false, more: "\"store\":false"))).Status);
        Assert.Equal(HttpStatusCode.OK, (await Client.GetJsonAsync("/v1/models")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await Client.GetJsonAsync("/health")).Status);
        Assert.Equal(HttpStatusCode.OK, (await Client.GetJsonAsync("/alive")).Status);

        await system.Running.Storage.RestartAsync();
        await system.Running.WaitUntilHealthyAsync();
        Assert.Equal(HttpStatusCode.OK, (await Client.PostJsonAsync(Completions, Body(prompt, stream: false))).Status);
    }

    [Fact]
    public async Task WhenTheGatewayStarts_ItIsAliveButNotReady()
    {
        await system.Running.Gateway.StopAsync();
        await system.Running.Storage.KillAsync();

        await system.Running.Gateway.RestartAsync();

        Assert.Equal(HttpStatusCode.OK, (await Client.GetJsonAsync("/alive")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await Client.GetJsonAsync("/health")).Status);
        AssertUnavailable(await Client.GetJsonAsync("/v1/sessions"));
        await system.Running.Storage.RestartAsync();
        await system.Running.WaitUntilHealthyAsync();
        Assert.Equal(HttpStatusCode.OK, (await Client.GetJsonAsync("/v1/sessions")).Status);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task DuringAnAnswer_AndBackInTime_LosesNothing(bool stream)
    {
        var prompt = NewPrompt();
        var asked = stream
            ? Client.StreamAsync(Body(prompt, stream, Slow))
            : StreamedAsync(Client.PostJsonAsync(Completions, Body(prompt, stream, Slow)));
        await system.Simulator.WaitForOutcomeAsync(prompt, "running");

        await system.Running.Storage.KillAsync();
        // The model has said all of its answer when storage comes back, so its end had to wait.
        await system.Simulator.WaitForOutcomeAsync(prompt, "answered");
        Assert.False(asked.IsCompleted);
        await system.Running.Storage.RestartAsync();

        var answer = await asked;
        Assert.True(answer.IsDone);
        var stored = (await Client.MessagesOfAsync(answer.SessionId))[1];
        Assert.Equal(("completed", answer.Content), (stored.GetProperty("status").GetString(), stored.GetProperty("content").GetString()));
    }

    [Fact]
    public async Task DuringAnAnswer_AndNotBackInTime_IsNoSuccess()
    {
        await using var impatient = await RunningSystem.StartAsync(settings: [("Storage__BeginPatience", "00:00:01"), ("Storage__CompletePatience", "00:00:01")]);
        using var simulator = new SimulatorProbe(impatient.Simulator!);
        var prompt = NewPrompt();
        const string Slower = """{"tokens":300,"token_ms":10}""";
        var streamed = impatient.Client.StreamAsync(Body(prompt + "a", stream: true, Slower));
        var whole = impatient.Client.PostJsonAsync(Completions, Body(prompt + "b", stream: false, Slower));
        await simulator.WaitForOutcomeAsync(prompt + "a", "running");
        await simulator.WaitForOutcomeAsync(prompt + "b", "running");

        await impatient.Storage.KillAsync();

        var answer = await streamed;
        Assert.Equal((HttpStatusCode.OK, "storage_unavailable", HttpRequestError.ResponseEnded), (answer.Status, answer.ErrorCode, answer.Cut?.HttpRequestError));
        Assert.DoesNotContain("[DONE]", answer.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("\"finish_reason\":\"", answer.Text, StringComparison.Ordinal);
        AssertUnavailable(await whole);
    }

    // A whole answer in the form of a streamed one, for the checks that both share.
    private static async Task<StreamedAnswer> StreamedAsync(Task<Answer> whole)
    {
        var answer = await whole;
        var text = answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetRawText();
        return new StreamedAnswer(answer.Status, answer.Headers, $$$"""data: {"choices":[{"delta":{"content":{{{text}}}}}]}{{{"\n\n"}}}data: [DONE]{{{"\n\n"}}}""", Cut: null);
    }

    private static void AssertUnavailable(Answer answer)
    {
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "storage_unavailable", "server_error"), (answer.Status, answer.ErrorCode, answer.ErrorType));
        Assert.Equal("1", answer.Headers["Retry-After"]);
    }
}
