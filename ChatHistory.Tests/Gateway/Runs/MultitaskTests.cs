using System.Net;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.Runs;

/// <summary>Two turns of one session at once.</summary>
public sealed class MultitaskTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private HttpClient Client => system.Client;

    [Theory]
    [InlineData(null)]
    [InlineData("enqueue")]
    public async Task Enqueue_Waits_AndSeesTheAnswerBefore(string? rule)
    {
        var (sessionId, running, prompt) = await StartAsync("""{"tokens":20,"token_ms":20}""");
        var next = await PostAsync(sessionId, rule);

        Assert.Equal(HttpStatusCode.OK, next.Status);
        Assert.True((await running).IsDone);
        var path = await PathAsync(next);
        Assert.Equal((4, prompt, (await running).Content), (path.Length, path[0], path[1]));
    }

    [Fact]
    public async Task Reject_IsAConflictAtOnce_ThatSdksDoNotRepeat()
    {
        var (sessionId, running, _) = await StartAsync("""{"tokens":4000,"token_ms":5}""");
        var next = await PostAsync(sessionId, "reject");

        Assert.Equal((HttpStatusCode.Conflict, "session_busy", "false"), (next.Status, next.ErrorCode, next.Headers["x-should-retry"]));
        await StopAsync(sessionId);
        await running;
    }

    [Fact]
    public async Task Branch_BeginsAtOnce_BesideTheRunningTurn()
    {
        var (sessionId, running, prompt) = await StartAsync("""{"tokens":4000,"token_ms":5}""");
        var next = await PostAsync(sessionId, "branch");

        Assert.Equal(HttpStatusCode.OK, next.Status);
        Assert.DoesNotContain(prompt, await PathAsync(next));
        await StopAsync(sessionId);
        await running;
    }

    [Fact]
    public async Task Interrupt_StopsTheRunningTurn_KeepsIt_AndGoesOnFromThere()
    {
        var (sessionId, running, prompt) = await StartAsync("""{"tokens":4000,"token_ms":5}""");
        var next = await PostAsync(sessionId, "interrupt");
        var interrupted = await running;

        Assert.Equal(HttpStatusCode.OK, next.Status);
        Assert.Equal("interrupted", interrupted.ErrorCode);
        var path = await PathAsync(next);
        Assert.Equal((prompt, interrupted.Content), (path[^4], path[^3]));
    }

    [Fact]
    public async Task UnknownRule_IsRefused()
    {
        var answer = await Client.PostJsonAsync(Completions, Body("x", stream: false, more: "\"multitask\":\"overtake\""));

        Assert.Equal((HttpStatusCode.BadRequest, "multitask"), (answer.Status, answer.Body.GetProperty("error").GetProperty("param").GetString()));
    }

    private async Task<(string SessionId, Task<StreamedAnswer> Running, string Prompt)> StartAsync(string pace)
    {
        var sessionId = (await Client.PostJsonAsync("/v1/sessions", """{"user_id":"multitask"}""")).Body.GetProperty("session_id").GetString()!;
        var prompt = NewPrompt();
        var begun = new TaskCompletionSource();
        var running = Client.StreamAsync(Body(prompt, stream: true, pace, $"\"session_id\":\"{sessionId}\""), text =>
        {
            if (StreamedAnswer.ContentOf(text).Length > 0)
            {
                begun.TrySetResult();
            }
        });
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(30));
        return (sessionId, running, prompt);
    }

    private Task<Answer> PostAsync(string sessionId, string? rule) => Client.PostJsonAsync(
        Completions, Body(NewPrompt(), stream: false, more: $"\"session_id\":\"{sessionId}\"" + (rule is null ? "" : $",\"multitask\":\"{rule}\"")));

    private async Task StopAsync(string sessionId)
    {
        foreach (var run in (await Client.GetJsonAsync($"/v1/sessions/{sessionId}/runs")).Body.GetProperty("runs").EnumerateArray())
        {
            await Client.PostJsonAsync($"/v1/sessions/{sessionId}/runs/{run.GetProperty("run_id").GetString()}/stop", "{}");
        }
    }

    /// <summary>The texts of the branch that ends with an answer.</summary>
    private async Task<string[]> PathAsync(Answer answer)
    {
        var branch = await Client.GetJsonAsync($"/v1/sessions/{answer.SessionId}/messages?limit=1000&branch={answer.Headers["X-Message-Id"]}");
        return [.. branch.Body.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("content").GetString()!)];
    }}
