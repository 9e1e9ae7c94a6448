using System.Text.Json;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway;

/// <summary>Clients that leave: the model stops, and what had come is kept; or the turn goes on without them, if they asked for that.</summary>
public sealed class DisconnectTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private const string Endless = """{"tokens":4000,"token_ms":10}""";
    private static readonly TimeSpan s_stopsWithin = TimeSpan.FromSeconds(1);

    private HttpClient Client => system.Client;

    private Uri Gateway => Client.BaseAddress!;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task LeavingAStream_StopsTheModel_AndKeepsWhatHadCome(bool byReset)
    {
        var prompt = NewPrompt();
        var connection = await RawConnection.PostAsync(Gateway, Completions, Body(prompt, stream: true, Endless));
        await connection.ReadUntilAsync(body => StreamedAnswer.ContentOf(body).Length > 100);

        Leave(connection, byReset);

        await system.Simulator.WaitForOutcomeAsync(prompt, "aborted", s_stopsWithin);
        var content = await CancelledContentAsync(connection.SessionId);
        Assert.StartsWith(StreamedAnswer.ContentOf(connection.Body), content, StringComparison.Ordinal);
        Assert.StartsWith(content, await Client.AnswerToAsync(prompt, """{"tokens":4000,"token_ms":0}"""), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"ttft_ms":60000}""")]
    [InlineData("""{"fault":"hang-before-headers"}""")]
    [InlineData("""{"fault":"hang-mid-stream"}""")]
    public async Task LeavingAWholeAnswer_StopsTheModel(string simulator)
    {
        var prompt = NewPrompt();
        var connection = await RawConnection.PostAsync(Gateway, Completions, Body(prompt, stream: false, simulator, $"\"user\":\"{prompt}\""));
        await system.Simulator.WaitForOutcomeAsync(prompt, "running");

        Leave(connection, byReset: false);

        await system.Simulator.WaitForOutcomeAsync(prompt, "aborted", s_stopsWithin);
        var sessions = await Client.GetJsonAsync($"/v1/sessions?user_id={Uri.EscapeDataString(prompt)}");
        Assert.Equal("", await CancelledContentAsync(sessions.Body.GetProperty("sessions")[0].GetProperty("session_id").GetString()!));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task OnDisconnectContinue_FinishesWithoutTheClient(bool stream)
    {
        var prompt = NewPrompt();
        const string Slow = """{"tokens":150,"token_ms":20}""";
        var connection = await RawConnection.PostAsync(Gateway, Completions, Body(prompt, stream, Slow, $"\"on_disconnect\":\"continue\",\"user\":\"{prompt}\""));
        await system.Simulator.WaitForOutcomeAsync(prompt, "running");

        Leave(connection, byReset: true);

        await system.Simulator.WaitForOutcomeAsync(prompt, "answered");
        var sessions = await Client.GetJsonAsync($"/v1/sessions?user_id={Uri.EscapeDataString(prompt)}");
        var answer = await EndedAnswerAsync(sessions.Body.GetProperty("sessions")[0].GetProperty("session_id").GetString()!);
        Assert.Equal(("completed", await Client.AnswerToAsync(prompt, Slow)), (Status(answer), Content(answer)));
    }

    [Fact]
    public async Task LeavingRightAfterDone_IsNoAbort()
    {
        for (var i = 0; i < 10; i++)
        {
            var prompt = NewPrompt();
            var connection = await RawConnection.PostAsync(Gateway, Completions, Body(prompt, stream: true));
            await connection.ReadUntilAsync(body => body.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal));

            Leave(connection, byReset: i % 2 == 0);

            var answer = (await Client.MessagesOfAsync(connection.SessionId))[1];
            Assert.Equal(("completed", StreamedAnswer.ContentOf(connection.Body)), (Status(answer), Content(answer)));
            await system.Simulator.WaitForOutcomeAsync(prompt, "answered");
        }
    }

    [Fact]
    public async Task LeavingAtAnyMoment_KeepsAnExactPrefix()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var visits = Enumerable.Range(0, 50).Select(_ => (Bytes: random.Next(40_000), ByReset: random.Next(2) == 0)).ToArray();
        var prompt = NewPrompt();
        var whole = await Client.AnswerToAsync(prompt, """{"tokens":120,"token_ms":0}""");
        var sessions = new List<string>();

        foreach (var group in visits.Chunk(10))
        {
            sessions.AddRange(await Task.WhenAll(group.Select(visit => VisitAsync(prompt, visit.Bytes, visit.ByReset))));
        }

        await system.Simulator.WaitUntilIdleAsync(s_stopsWithin);
        foreach (var sessionId in sessions)
        {
            var answer = await EndedAnswerAsync(sessionId);
            Assert.True(whole.StartsWith(Content(answer), StringComparison.Ordinal), $"seed {seed}: '{Content(answer)}' is no beginning of '{whole}'");
            Assert.True(Status(answer) == "cancelled" || (Status(answer) == "completed" && Content(answer) == whole), $"seed {seed}: {answer}");
        }

        // A client that leaves is an everyday event: no error, no exception in the log.
        Assert.DoesNotContain(" ERR ", system.Running.Gateway.Output, StringComparison.Ordinal);
    }

    private async Task<string> VisitAsync(string prompt, int bytes, bool byReset)
    {
        var connection = await RawConnection.PostAsync(Gateway, Completions, Body(prompt, stream: true, """{"tokens":120,"token_ms":2}"""));
        await connection.ReadUntilAsync(body => body.Length >= bytes || body.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal));
        Leave(connection, byReset);
        return connection.SessionId;
    }

    private static void Leave(RawConnection connection, bool byReset)
    {
        if (byReset)
        {
            connection.Reset();
        }
        else
        {
            connection.Dispose();
        }
    }

    private async Task<string> CancelledContentAsync(string sessionId)
    {
        var answer = await EndedAnswerAsync(sessionId);
        Assert.Equal(("cancelled", "client_disconnected"), (Status(answer), answer.GetProperty("error").GetProperty("code").GetString()));
        return Content(answer);
    }

    private async Task<JsonElement> EndedAnswerAsync(string sessionId) =>
        await Eventually.GetAsync(async () => (await Client.MessagesOfAsync(sessionId))[1], answer => Status(answer) != "in_progress");

    private static string Status(JsonElement message) => message.GetProperty("status").GetString()!;

    private static string Content(JsonElement message) => message.GetProperty("content").GetString()!;
}
