using ChatHistory.Storage.V1;
using Microsoft.Extensions.Time.Testing;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

public sealed class AbandonedTurnReaperTests
{
    [Fact]
    public async Task TurnThatNobodyWritesTo_IsInterrupted()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        await using var storage = await StorageFixture.StartAsync(time: time);
        var abandoned = AskNew(NewId(), "alice", Says("user", "one"));
        var renewed = AskNew(NewId(), "alice", Says("user", "one"));
        var renewal = new Checkpoint { SessionId = renewed.SessionId, AnswerMessageId = renewed.AnswerMessageId };
        await storage.WriteAsync(abandoned.In(), renewed.In());
        var started = time.GetUtcNow();

        // The reaper looks when its timer fires, on a thread of its own: time goes on until it has looked.
        while (await StatusAsync(abandoned) == TurnStatus.InProgress)
        {
            time.Advance(TimeSpan.FromSeconds(15));
            await storage.WriteOneAsync(renewal.In());
            Assert.True(time.GetUtcNow() - started < TimeSpan.FromHours(10), "The reaper did not look.");
        }

        Assert.True(time.GetUtcNow() - started > TimeSpan.FromSeconds(60));
        Assert.Equal(TurnStatus.Interrupted, await StatusAsync(abandoned));
        Assert.Equal(TurnStatus.InProgress, await StatusAsync(renewed));

        async Task<TurnStatus> StatusAsync(BeginTurn turn) => (await storage.ListAsync(turn.SessionId))[^1].Status;
    }
}
