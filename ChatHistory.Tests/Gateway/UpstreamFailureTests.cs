using System.Net;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>Everything that a model server can do wrong: what the client is told, what is kept, and that nothing hangs or is asked twice.</summary>
public sealed class UpstreamFailureTests(ImpatientSystem system) : IClassFixture<ImpatientSystem>
{
    private HttpClient Client => system.Client;

    [Theory]
    [InlineData("error-400", 400, "invalid_request_error", "invalid_request")]
    [InlineData("error-401", 502, "server_error", "upstream_authentication")]
    [InlineData("error-429", 429, "rate_limit_error", "rate_limit_exceeded", "7")]
    [InlineData("error-500", 500, "server_error", "upstream_error")]
    [InlineData("error-503", 503, "server_error", "upstream_unavailable", "7")]
    [InlineData("html", 502, "server_error", "upstream_error")]
    [InlineData("html-200", 502, "server_error", "upstream_invalid_response")]
    [InlineData("ok-with-error", 500, "server_error", "upstream_error")]
    [InlineData("hang-before-headers", 504, "server_error", "upstream_timeout")]
    public async Task FaultBeforeTheAnswer_IsAnErrorOfItsOwn(string fault, int status, string type, string code, string? retryAfter = null)
    {
        foreach (var stream in new[] { true, false })
        {
            var prompt = NewPrompt();

            var answer = await Client.PostJsonAsync(Completions, Body(prompt, stream, $$"""{"fault":"{{fault}}","retry_after":7}"""));

            Assert.Equal((status, type, code, retryAfter), ((int)answer.Status, answer.ErrorType, answer.ErrorCode, answer.Headers.GetValueOrDefault("Retry-After")));
            await AssertFailedAsync(answer.SessionId, prompt, "", code);
        }
    }

    [Theory]
    [InlineData("close", 502, "upstream_invalid_response")]
    [InlineData("reset", 502, "upstream_ended_early")]
    [InlineData("hang-mid-stream", 504, "upstream_timeout")]
    [InlineData("error-chunk", 500, "upstream_error")]
    [InlineData("invalid-json", 502, "upstream_invalid_response")]
    public async Task FaultInsideAWholeBody_IsAnError(string fault, int status, string code)
    {
        var prompt = NewPrompt();

        var answer = await Client.PostJsonAsync(Completions, Body(prompt, stream: false, $$"""{"fault":"{{fault}}"}"""));

        Assert.Equal((status, "server_error", code), ((int)answer.Status, answer.ErrorType, answer.ErrorCode));
        await AssertFailedAsync(answer.SessionId, prompt, "", code);
    }

    [Theory]
    [InlineData("hang-mid-stream", "upstream_timeout")]
    [InlineData("reset", "upstream_ended_early")]
    [InlineData("close", "upstream_ended_early")]
    [InlineData("error-chunk", "upstream_error")]
    public async Task FaultInsideAStream_IsAnErrorChunkAndACut(string fault, string code)
    {
        var prompt = NewPrompt();
        var whole = await Client.AnswerToAsync(prompt);

        var answer = await Client.StreamAsync(Body(prompt, stream: true, $$"""{"fault":"{{fault}}","fault_after":5}"""));

        Assert.Equal((HttpStatusCode.OK, code, HttpRequestError.ResponseEnded), (answer.Status, answer.ErrorCode, answer.Cut?.HttpRequestError));
        Assert.Equal(6, answer.Data.Count);
        Assert.DoesNotContain("[DONE]", answer.Text, StringComparison.Ordinal);
        Assert.StartsWith(answer.Content, whole, StringComparison.Ordinal);
        await AssertFailedAsync(answer.SessionId, prompt, answer.Content, code, times: 2);
    }

    [Fact]
    public async Task Cut_ComesAfterTheErrorChunk_AndLacksTheChunkedTerminator()
    {
        for (var i = 0; i < 10; i++)
        {
            using var connection = await RawConnection.PostAsync(Client.BaseAddress!, Completions, Body(NewPrompt(), stream: true, """{"fault":"close"}"""));
            await connection.ReadToTheEndAsync();

            Assert.Equal("upstream_ended_early", JsonElement.Parse(StreamedAnswer.DataOf(connection.Body).Last()).GetProperty("error").GetProperty("code").GetString());
            Assert.False(connection.Received.AsSpan().EndsWith("0\r\n\r\n"u8));
        }
    }

    [Theory]
    [InlineData("no-done")]
    [InlineData("no-usage")]
    [InlineData("split-utf8")]
    [InlineData("crlf")]
    [InlineData("comments")]
    [InlineData("huge-line")]
    [InlineData("invalid-json")]
    public async Task OddityInAStream_HarmsNothing(string fault)
    {
        var prompt = NewPrompt();
        var whole = await Client.AnswerToAsync(prompt);

        // The huge line repeats the chunk before which it comes: the first one has no text.
        var answer = await Client.StreamAsync(Body(prompt, stream: true, $$"""{"fault":"{{fault}}","fault_after":0}"""));

        Assert.Equal((HttpStatusCode.OK, whole, true, null), (answer.Status, answer.Content, answer.IsDone, answer.Cut));
        await AssertStoredAsync(answer.SessionId, prompt, ("completed", whole, null), times: 2);
    }

    [Theory]
    [InlineData("no-usage")]
    [InlineData("split-utf8")]
    [InlineData("huge-line")]
    public async Task OddityInAWholeBody_HarmsNothing(string fault)
    {
        var prompt = NewPrompt();

        var answer = await Client.PostJsonAsync(Completions, Body(prompt, stream: false, $$"""{"fault":"{{fault}}"}"""));

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        var text = answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString();
        await AssertStoredAsync(answer.SessionId, prompt, ("completed", text, null));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task UnknownModel_IsTheModelServersOwnWord(bool stream)
    {
        var answer = await Client.PostJsonAsync(Completions, Body(NewPrompt(), stream, more: "\"model\":\"nobody/nothing\""));

        Assert.Equal((HttpStatusCode.NotFound, "invalid_request_error", "model_not_found"), (answer.Status, answer.ErrorType, answer.ErrorCode));
        Assert.Equal(("The model `nobody/nothing` does not exist.", "model"), (answer.ErrorMessage, answer.Body.GetProperty("error").GetProperty("param").GetString()));
    }

    [Fact]
    public async Task FailedTurn_IsNotReplayed()
    {
        var (first, failed, next) = (NewPrompt(), NewPrompt(), NewPrompt());
        var sessionId = (await Client.PostJsonAsync(Completions, Body(first, stream: false))).SessionId;
        foreach (var fault in new[] { "reset", "error-500" })
        {
            await Client.StreamAsync(Body(failed, stream: true, $$"""{"fault":"{{fault}}"}""", $"\"session_id\":\"{sessionId}\""));
        }

        await Client.PostJsonAsync(Completions, Body(next, stream: false, more: $"\"session_id\":\"{sessionId}\""));

        var sent = Assert.Single(await system.Simulator.RequestsWithAsync(next)).GetProperty("body").GetProperty("messages");
        Assert.Equal(["user", "assistant", "user"], sent.EnumerateArray().Select(message => message.GetProperty("role").GetString()));
        Assert.DoesNotContain(failed, sent.GetRawText(), StringComparison.Ordinal);
        // It is not replayed, and it is not lost either.
        Assert.Equal(2, (await Client.MessagesOfAsync(sessionId)).Count(message => message.GetProperty("status").GetString() == "failed"));
    }

    [Fact]
    public async Task NoModelServer_IsUnavailable_AndTheHistoryIsServed()
    {
        // Port 9 (discard) has no listener.
        await using var alone = await RunningSystem.StartAsync(new Uri("http://127.0.0.1:9"));
        foreach (var stream in new[] { true, false })
        {
            var prompt = NewPrompt();
            var answer = await alone.Client.PostJsonAsync(Completions, Body(prompt, stream));

            Assert.Equal((HttpStatusCode.ServiceUnavailable, "upstream_unavailable", "5"), (answer.Status, answer.ErrorCode, answer.Headers["Retry-After"]));
            var messages = await alone.Client.MessagesOfAsync(answer.SessionId);
            Assert.Equal([(prompt, "completed"), ("", "failed")], messages.Select(message => (message.GetProperty("content").GetString(), message.GetProperty("status").GetString())));
        }

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await alone.Client.GetJsonAsync("/v1/models")).Status);
    }

    private Task AssertFailedAsync(string sessionId, string prompt, string content, string code, int times = 1) =>
        AssertStoredAsync(sessionId, prompt, ("failed", content, code), times);

    /// <summary>The turn is kept as it ended, and the model server was asked once for it.</summary>
    private async Task AssertStoredAsync(string sessionId, string prompt, (string Status, string? Content, string? Code) answer, int times = 1)
    {
        var messages = await Client.MessagesOfAsync(sessionId);
        Assert.Equal(2, messages.Length);
        Assert.Equal((prompt, "completed"), (messages[0].GetProperty("content").GetString(), messages[0].GetProperty("status").GetString()));
        var code = messages[1].TryGetProperty("error", out var error) ? error.GetProperty("code").GetString() : null;
        Assert.Equal(answer, (messages[1].GetProperty("status").GetString()!, messages[1].GetProperty("content").GetString(), code));
        Assert.Equal(times, (await system.Simulator.RequestsWithAsync(prompt)).Length);
    }
}
