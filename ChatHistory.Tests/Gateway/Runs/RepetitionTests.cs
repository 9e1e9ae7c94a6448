using System.Net;
using System.Text;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.Runs;

/// <summary>Requests that are sent again: no question is stored twice, and none is answered twice.</summary>
public sealed class RepetitionTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private const string Slow = """{"tokens":40,"token_ms":20}""";

    private static readonly (string, string) s_first = ("x-stainless-retry-count", "0");
    private static readonly (string, string) s_again = ("x-stainless-retry-count", "1");

    private HttpClient Client => system.Client;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task IdempotencyKey_JoinsTheRunningTurn_AndReplaysTheEndedOne(bool stream)
    {
        var prompt = NewPrompt();
        var key = ("Idempotency-Key", prompt);
        var both = await Task.WhenAll(PostAsync(Body(prompt, stream, Slow), key), PostAsync(Body(prompt, stream, Slow), key));
        var later = await PostAsync(Body(prompt, stream, Slow), key);

        Assert.Single(await system.Simulator.RequestsWithAsync(prompt));
        Assert.Single(both.Append(later).Select(answer => answer.Headers["X-Message-Id"]).Distinct());
        Assert.Single(both.Append(later).Select(answer => ContentOf(answer, stream)).Distinct());
        Assert.Equal(2, (await Client.MessagesOfAsync(later.SessionId)).Length);
    }

    [Fact]
    public async Task IdempotencyKeyWithAnotherBody_IsRefused()
    {
        var key = ("Idempotency-Key", NewPrompt());
        await PostAsync(Body(NewPrompt(), stream: false), key);

        var other = await PostAsync(Body(NewPrompt(), stream: false), key);

        Assert.Equal((HttpStatusCode.BadRequest, "idempotency_key_reused"), (other.Status, other.ErrorCode));
    }

    [Fact]
    public async Task IdempotencyKeyOfAFailure_AsksAgain_AndStoresTheQuestionOnce()
    {
        var prompt = NewPrompt();
        var key = ("Idempotency-Key", prompt);
        var body = Body(prompt, stream: false, """{"fault":"error-500"}""");
        var failed = await PostAsync(body, key);
        var again = await PostAsync(body, key);

        Assert.Equal((HttpStatusCode.InternalServerError, HttpStatusCode.InternalServerError), (failed.Status, again.Status));
        Assert.Equal(failed.SessionId, again.SessionId);
        Assert.Equal(["user", "assistant", "assistant"], (await Client.MessagesOfAsync(again.SessionId)).Select(message => message.GetProperty("role").GetString()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task SdkThatLostItsConnection_GetsTheRunThatItLost(bool stream)
    {
        var prompt = NewPrompt();
        var body = Body(prompt, stream, """{"tokens":60,"token_ms":20}""");
        using (var lost = await SendAsync(body, "x-stainless-retry-count: 0"))
        {
            await system.Simulator.WaitForOutcomeAsync(prompt, "running");
            if (stream)
            {
                await lost.ReadUntilAsync(text => StreamedAnswer.ContentOf(text).Length > 20);
            }
        }

        var again = await PostAsync(body, s_again);

        Assert.Single(await system.Simulator.RequestsWithAsync(prompt));
        Assert.Equal(await Client.AnswerToAsync(prompt, """{"tokens":60}"""), ContentOf(again, stream));
        Assert.Equal(["completed", "completed"], (await Client.MessagesOfAsync(again.SessionId)).Select(message => message.GetProperty("status").GetString()));
    }

    [Fact]
    public async Task SdkThatRepeatsWhatWasAnswered_GetsTheSameAnswer()
    {
        var prompt = NewPrompt();
        var first = await PostAsync(Body(prompt, stream: true), s_first);
        var again = await PostAsync(Body(prompt, stream: true), s_again);

        Assert.Equal(first.Headers["X-Message-Id"], again.Headers["X-Message-Id"]);
        Assert.Equal(first.Text, again.Text);
        Assert.Single(await system.Simulator.RequestsWithAsync(prompt));
    }

    [Fact]
    public async Task SameQuestionThatIsNoRepetition_IsAnsweredAnew()
    {
        var prompt = NewPrompt();
        var first = await PostAsync(Body(prompt, stream: false), s_first);
        var other = await PostAsync(Body(prompt, stream: false), s_first);

        Assert.NotEqual(first.SessionId, other.SessionId);
        Assert.Equal(2, (await system.Simulator.RequestsWithAsync(prompt)).Length);
    }

    [Fact]
    public async Task UserWhoGivesUpAndAsksAgain_IsAnsweredAnew_InTheSameSession()
    {
        var prompt = NewPrompt();
        var body = Body(prompt, stream: true, """{"tokens":400,"token_ms":5}""");
        string sessionId;
        using (var lost = await SendAsync(body, "x-stainless-retry-count: 0"))
        {
            await lost.ReadUntilAsync(text => StreamedAnswer.ContentOf(text).Length > 20);
            sessionId = lost.SessionId;
        }

        // Nobody asks again before the gateway can know that he has left.
        await Eventually.GetAsync(
            async () => (await Client.GetJsonAsync($"/v1/sessions/{sessionId}/runs")).Text, runs => !runs.Contains("\"listeners\":1", StringComparison.Ordinal));
        var again = await PostAsync(body, s_first);

        var messages = await Client.MessagesOfAsync(again.SessionId);
        Assert.Equal(["completed", "cancelled", "completed"], messages.Select(message => message.GetProperty("status").GetString()));
    }

    [Fact]
    public async Task WhatWasAnswered_IsGivenAgain_AfterARestartOfTheGateway()
    {
        await using var own = await RunningSystem.StartAsync();
        var (streamed, whole) = (NewPrompt(), NewPrompt());
        var first = await PostAsync(own.Client, Body(streamed, stream: true), ("Idempotency-Key", "s"));
        var firstWhole = await PostAsync(own.Client, Body(whole, stream: false), ("Idempotency-Key", "w"));

        await own.Gateway.KillAsync();
        await own.Gateway.RestartAsync();
        await own.WaitUntilHealthyAsync();
        var again = await PostAsync(own.Client, Body(streamed, stream: true), ("Idempotency-Key", "s"));
        var againWhole = await PostAsync(own.Client, Body(whole, stream: false), ("Idempotency-Key", "w"));
        var events = await own.Client.GetStringAsync($"/v1/sessions/{first.SessionId}/runs/{first.Headers["X-Message-Id"]}/events?starting_after=3");

        Assert.Equal(first.Text, again.Text);
        Assert.Equal(StreamedAnswer.DataOf(first.Text).Skip(3), StreamedAnswer.DataOf(events));
        Assert.Equal(firstWhole.Headers["X-Message-Id"], againWhole.Headers["X-Message-Id"]);
        Assert.Equal(
            (ContentOf(firstWhole, stream: false), firstWhole.Body.GetProperty("id").GetString(), firstWhole.Body.GetProperty("usage").GetProperty("total_tokens").GetInt32()),
            (ContentOf(againWhole, stream: false), againWhole.Body.GetProperty("id").GetString(), againWhole.Body.GetProperty("usage").GetProperty("total_tokens").GetInt32()));
    }

    [Fact]
    public async Task AnswerThatItsGatewayLost_IsTakenOver()
    {
        await using var own = await RunningSystem.StartAsync();
        var prompt = NewPrompt();
        var body = Body(prompt, stream: true, """{"tokens":100,"token_ms":20}""");
        using (var lost = await SendAsync(own.Gateway.Addresses[0], body, "Idempotency-Key: k"))
        {
            await lost.ReadUntilAsync(text => StreamedAnswer.ContentOf(text).Length > 20);
            await own.Gateway.KillAsync();
        }

        await own.Gateway.RestartAsync();
        await own.WaitUntilHealthyAsync();
        var again = await PostAsync(own.Client, body, ("Idempotency-Key", "k"));

        var messages = await own.Client.MessagesOfAsync(again.SessionId);
        Assert.Equal(["completed", "interrupted", "completed"], messages.Select(message => message.GetProperty("status").GetString()));
    }

    /// <summary>Nothing of the answer is left to read, and its reader is told so instead of being left with half of it.</summary>
    [Fact]
    public async Task AnswerThatIsDeletedWhileItIsRead_EndsWithAnError()
    {
        await using var own = await RunningSystem.StartAsync();
        string session, run;
        using (var lost = await SendAsync(own.Gateway.Addresses[0], Body(NewPrompt(), stream: true, """{"tokens":10000,"token_ms":20}"""), "X-Test: 1"))
        {
            await lost.ReadUntilAsync(text => StreamedAnswer.ContentOf(text).Length > 20);
            (session, run) = (lost.Header("X-Session-Id"), lost.Header("X-Message-Id"));
            await own.Gateway.KillAsync();
        }

        await own.Gateway.RestartAsync();
        await own.WaitUntilHealthyAsync();
        using var response = await own.Client.GetAsync($"/v1/sessions/{session}/runs/{run}/events", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True((await own.Client.DeleteAsync($"/v1/sessions/{session}")).IsSuccessStatusCode);
        var events = await StreamedAnswer.ReadAsync(response);

        Assert.NotNull(events.Cut);
        Assert.NotNull(events.ErrorCode);
        Assert.DoesNotContain(" ERR ", own.Gateway.Output, StringComparison.Ordinal);
    }

    private Task<Answer> PostAsync(string body, params (string Name, string Value)[] headers) => PostAsync(Client, body, headers);

    private static Task<Answer> PostAsync(HttpClient client, string body, params (string Name, string Value)[] headers) =>
        client.SendJsonAsync(HttpMethod.Post, Completions, body, headers);

    private Task<RawConnection> SendAsync(string body, string header) => SendAsync(system.Running.Gateway.Addresses[0], body, header);

    private static Task<RawConnection> SendAsync(Uri gateway, string body, string header) => RawConnection.SendAsync(
        gateway,
        $"POST {Completions} HTTP/1.1\r\nHost: {gateway.Authority}\r\nContent-Type: application/json\r\n{header}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    private static string ContentOf(Answer answer, bool stream) => stream
        ? StreamedAnswer.ContentOf(answer.Text)
        : answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
}
