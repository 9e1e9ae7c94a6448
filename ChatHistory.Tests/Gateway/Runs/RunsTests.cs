using System.Net;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.Runs;

/// <summary>Answers that are under way: stopped, followed, read again.</summary>
public sealed class RunsTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private const string Endless = """{"tokens":4000,"token_ms":5}""";

    private HttpClient Client => system.Client;

    [Fact]
    public async Task Stop_KeepsThePartialAnswer_AndEndsTheStream()
    {
        var prompt = NewPrompt();
        var (answering, path) = await StartAsync(prompt);

        var stopped = await Client.PostJsonAsync($"{path}/stop", "{}");
        var answer = await answering;

        Assert.Equal((HttpStatusCode.OK, "cancelled", "stopped"), (stopped.Status, Text(stopped.Body, "status"), stopped.Body.GetProperty("error").GetProperty("code").GetString()));
        Assert.True(answer.IsDone);
        Assert.Null(answer.Cut);
        var last = JsonElement.Parse(answer.Data[^2]).GetProperty("choices")[0];
        Assert.Equal("stop", last.GetProperty("finish_reason").GetString());
        Assert.Equal(answer.Content, Text(stopped.Body, "content"));
        Assert.NotEqual("", answer.Content);
        await system.Simulator.WaitForOutcomeAsync(prompt, "aborted");
    }

    [Fact]
    public async Task Stop_OfWhatIsOver_ChangesNothing()
    {
        var answer = await Client.StreamAsync(Body(NewPrompt(), stream: true));

        var stopped = await Client.PostJsonAsync($"{PathOf(answer.Headers)}/stop", "{}");

        Assert.Equal((HttpStatusCode.OK, "completed", answer.Content), (stopped.Status, Text(stopped.Body, "status"), Text(stopped.Body, "content")));
    }

    [Fact]
    public async Task WholeAnswerThatIsStopped_IsAConflict()
    {
        var prompt = NewPrompt();
        var answering = Client.PostJsonAsync(Completions, Body(prompt, stream: false, Endless, $"\"user_id\":\"{prompt}\""));
        await system.Simulator.WaitForOutcomeAsync(prompt, "running");
        var session = (await Client.GetJsonAsync($"/v1/sessions?user_id={Uri.EscapeDataString(prompt)}")).Body.GetProperty("sessions")[0];
        var runs = $"/v1/sessions/{Text(session, "session_id")}/runs";
        var run = Assert.Single((await Client.GetJsonAsync(runs)).Body.GetProperty("runs").EnumerateArray());

        await Client.PostJsonAsync($"{runs}/{Text(run, "run_id")}/stop", "{}");
        var answer = await answering;

        Assert.Equal((HttpStatusCode.Conflict, "stopped", "false"), (answer.Status, answer.ErrorCode, answer.Headers["x-should-retry"]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_000)]
    public async Task Events_AreTheStreamsFrames_FromAnyNumberOn(int after)
    {
        var answer = await Client.StreamAsync(Body(NewPrompt(), stream: true, """{"tokens":30}"""));
        Assert.DoesNotContain("id: ", answer.Text, StringComparison.Ordinal);

        var events = await ReadEventsAsync($"{PathOf(answer.Headers)}/events?starting_after={after}");

        Assert.Equal(answer.Data.SkipLast(1).Skip(after).Append("[DONE]"), events.Data);
        Assert.Equal(events.Data.SkipLast(1).Select((_, index) => $"id: {after + index + 1}"), events.Text.Split('\n').Where(line => line.StartsWith("id: ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Events_FollowARunningAnswer()
    {
        var (answering, path) = await StartAsync(NewPrompt());
        var enough = new TaskCompletionSource();
        var following = ReadEventsAsync($"{path}/events", text =>
        {
            if (StreamedAnswer.DataOf(text).Count() > 60)
            {
                enough.TrySetResult();
            }
        });
        await enough.Task.WaitAsync(TimeSpan.FromSeconds(30));

        await Client.PostJsonAsync($"{path}/stop", "{}");
        var (answer, events) = (await answering, await following);

        Assert.True(events.IsDone);
        Assert.Equal(answer.Content, events.Content);
    }

    [Fact]
    public async Task Events_OfAFailedAnswer_EndAsItDid()
    {
        var answer = await Client.StreamAsync(Body(NewPrompt(), stream: true, """{"fault":"close","fault_after":5}"""));

        var events = await ReadEventsAsync($"{PathOf(answer.Headers)}/events");

        Assert.Equal((answer.Content, "upstream_ended_early"), (events.Content, events.ErrorCode));
        Assert.NotNull(events.Cut);
    }

    [Fact]
    public async Task Events_OfAWholeAnswer_AreOneChunk()
    {
        var answer = await Client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false));

        var events = await ReadEventsAsync($"{PathOf(answer.Headers)}/events");

        Assert.Equal(2, events.Data.Count);
        Assert.Equal(answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), events.Content);
    }

    [Theory]
    [InlineData("starting_after=-1", HttpStatusCode.BadRequest)]
    [InlineData("starting_after=x", HttpStatusCode.BadRequest)]
    public async Task Events_FromNoNumber_AreRefused(string query, HttpStatusCode status)
    {
        var answer = await Client.StreamAsync(Body(NewPrompt(), stream: true));

        Assert.Equal(status, (await Client.GetJsonAsync($"{PathOf(answer.Headers)}/events?{query}")).Status);
    }

    [Fact]
    public async Task RunOfAnotherSession_IsNotFound()
    {
        var one = await Client.StreamAsync(Body(NewPrompt(), stream: true));
        var other = await Client.StreamAsync(Body(NewPrompt(), stream: true));
        var path = $"/v1/sessions/{one.SessionId}/runs/{other.Headers["X-Message-Id"]}";

        Assert.Equal(HttpStatusCode.NotFound, (await Client.GetJsonAsync(path)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await Client.GetJsonAsync($"{path}/events")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await Client.PostJsonAsync($"{path}/stop", "{}")).Status);
    }

    [Fact]
    public async Task AnswerThatWasCutOff_HasItsExactUsage()
    {
        var prompt = NewPrompt();
        var (answering, path) = await StartAsync(prompt);
        await Client.PostJsonAsync($"{path}/stop", "{}");
        var answer = await answering;
        var message = (await Client.GetJsonAsync(path)).Body;

        // What the simulator streamed is one token a chunk; the last frame before [DONE] is the gateway's own.
        var tokens = answer.Data.SkipLast(2).Count(data => StreamedAnswer.ContentOf($"data: {data}\n").Length > 0);
        Assert.Equal(tokens, message.GetProperty("tokens").GetInt32());
        var whole = await Client.PostJsonAsync(Completions, Body(prompt, stream: false, more: "\"store\":false"));
        Assert.Equal(whole.Body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), message.GetProperty("prompt_tokens").GetInt32());
        Assert.DoesNotContain("usage", answer.Text, StringComparison.Ordinal);
    }

    private async Task<(Task<StreamedAnswer> Answering, string Path)> StartAsync(string prompt)
    {
        var begun = new TaskCompletionSource();
        var path = new TaskCompletionSource<string>();
        async Task<StreamedAnswer> AnswerAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Completions) { Content = RunningSystem.Json(Body(prompt, stream: true, Endless)) };
            using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            path.SetResult(PathOf(response.Headers.ToDictionary(header => header.Key, header => string.Join(",", header.Value), StringComparer.OrdinalIgnoreCase)));
            return await StreamedAnswer.ReadAsync(response, text =>
            {
                if (StreamedAnswer.ContentOf(text).Length > 100)
                {
                    begun.TrySetResult();
                }
            });
        }

        var answering = AnswerAsync();
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(30));
        return (answering, await path.Task);
    }

    private async Task<StreamedAnswer> ReadEventsAsync(string path, Action<string>? arrived = null)
    {
        using var response = await Client.GetAsync(path, HttpCompletionOption.ResponseHeadersRead);
        return await StreamedAnswer.ReadAsync(response, arrived);
    }

    private static string PathOf(Dictionary<string, string> headers) => $"/v1/sessions/{headers["X-Session-Id"]}/runs/{headers["X-Message-Id"]}";

    private static string Text(JsonElement json, string name) => json.GetProperty(name).GetString()!;
}
