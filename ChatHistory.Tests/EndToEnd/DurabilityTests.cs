using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>What a client was told is finished is there after a stop. What is killed: Promises.</summary>
public sealed class DurabilityTests
{
    [Fact]
    public async Task GracefulStop_LetsShortAnswersEnd_AndKeepsWhatThereIsOfLongOnes()
    {
        await using var system = await RunningSystem.StartAsync();
        using var simulator = new SimulatorProbe(system.Simulator!);
        var (shortOne, longOne) = (NewPrompt(), NewPrompt());
        var shortAnswer = system.Client.StreamAsync(Body(shortOne, stream: true, """{"tokens":150,"token_ms":40}"""));
        var longAnswer = system.Client.StreamAsync(Body(longOne, stream: true, """{"tokens":10000,"token_ms":20}"""));
        await simulator.WaitForOutcomeAsync(shortOne, "running");
        await simulator.WaitForOutcomeAsync(longOne, "running");

        // Its grace for answers is 10 s, and a container engine waits 30 s.
        Assert.Equal(0, await system.Gateway.StopAsync().WaitAsync(TimeSpan.FromSeconds(25)));

        var (ended, cut) = (await shortAnswer, await longAnswer);
        Assert.Equal((true, null), (ended.IsDone, ended.Cut));
        Assert.Equal(("shutting_down", HttpRequestError.ResponseEnded), (cut.ErrorCode, cut.Cut?.HttpRequestError));
        await simulator.WaitForOutcomeAsync(longOne, "aborted");
        Assert.Equal(0, await system.Storage.StopAsync());
        var leftOver = new FileInfo(system.DatabasePath + "-wal");
        Assert.False(leftOver.Exists && leftOver.Length > 0, "a stopped storage service leaves nothing in the write-ahead log");

        await system.Storage.RestartAsync();
        await system.Gateway.RestartAsync();
        await system.WaitUntilHealthyAsync();
        Assert.Equal(("completed", ended.Content), await StoredAnswerAsync(system.Client, ended.SessionId));
        Assert.Equal(("interrupted", cut.Content), await StoredAnswerAsync(system.Client, cut.SessionId));
    }

    private static async Task<(string?, string?)> StoredAnswerAsync(HttpClient client, string sessionId)
    {
        var answer = (await client.MessagesOfAsync(sessionId))[1];
        return (answer.GetProperty("status").GetString(), answer.GetProperty("content").GetString());
    }
}
