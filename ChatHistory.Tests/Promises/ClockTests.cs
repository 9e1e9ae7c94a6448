using System.Collections.Concurrent;
using ChatHistory.Storage.V1;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Xunit.Abstractions;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.Promises;

/// <summary>R16: the wall clock may jump by hours or stand still. Order is by seq, ids stay unique, and no live turn is taken for abandoned.</summary>
[Trait(Promise.Trait, "R16")]
public sealed class ClockTests(ITestOutputHelper output)
{
    private static readonly TimeSpan s_abandonedAfter = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task ClockThatJumps_ChangesNeitherOrderNorLeases()
    {
        var promise = new Promise("R16", output);
        var random = new Random(promise.Seed);
        var clock = new JumpingClock();
        await using var storage = await StorageFixture.StartAsync(time: clock, settings: [("Turns:AbandonedAfter", $"{s_abandonedAfter}"), ("Database:BallastBytes", "0")]);
        var live = AskNew(NewId(), "alice", Says("user", "live"));
        var abandoned = AskNew(NewId(), "alice", Says("user", "abandoned"));
        await storage.WriteAsync(live.In(), abandoned.In());
        var session = AskNew(NewId(), "alice", Says("user", "0"));
        await storage.WriteAsync(session.In(), session.Answered("0").In());

        // The gateway of one turn lives, and renews it at its own steady pace, four times in a lease.
        using var ends = new CancellationTokenSource();
        var seen = new ConcurrentDictionary<TurnStatus, int>();
        var renewals = RenewAsync();
        var jumps = Promise.Size(40, 1000);
        for (var i = 1; i <= jumps; i++)
        {
            switch (random.Next(4))
            {
                case 0:
                    clock.Stop();
                    break;
                case 1:
                    clock.Jump(TimeSpan.FromHours(random.Next(2) == 0 ? 1 : -1));
                    break;
                default:
                    clock.Jump(TimeSpan.FromSeconds(random.Next(-7200, 7200)));
                    break;
            }

            var next = Ask(session.SessionId, Says("user", $"{i}"));
            await storage.WriteAsync(next.In(), next.Answered($"{i}").In());
        }

        // Nobody renews the other one: it ends, whatever the clock says.
        clock.Jump(TimeSpan.FromHours(-1));
        await Eventually.GetAsync(async () => (await storage.ListAsync(abandoned.SessionId))[^1].Status, status => status == TurnStatus.Interrupted);
        await ends.CancelAsync();
        await renewals;

        Assert.Equal([TurnStatus.InProgress], seen.Keys);
        var messages = await PagesAsync(storage, session.SessionId);
        Assert.Equal(Enumerable.Range(0, jumps + 1).SelectMany(i => new[] { $"{i}", $"{i}" }), messages.Select(message => message.Content.Content));
        Assert.Equal(Enumerable.Range(1, messages.Count).Select(i => (long)i), messages.Select(message => message.Seq));
        Assert.Equal(messages.Count, messages.DistinctBy(message => message.MessageId).Count());
        await storage.WriteOneAsync(live.Answered("done").In());
        Assert.Equal(["user: live", "assistant: done"], await storage.TranscriptAsync(live.SessionId));
        promise.Figure($"{jumps} jumps of the clock: {messages.Count} messages in order, ids unique; a live turn was looked at {seen.Values.Sum()} times and never interrupted, an abandoned one was");

        async Task RenewAsync()
        {
            using var timer = new PeriodicTimer(s_abandonedAfter / 4);
            while (!ends.IsCancellationRequested)
            {
                seen.AddOrUpdate((await storage.ListAsync(live.SessionId))[^1].Status, 1, (_, count) => count + 1);
                await storage.WriteOneAsync(new Checkpoint { SessionId = live.SessionId, AnswerMessageId = live.AnswerMessageId }.In());
                await timer.WaitForNextTickAsync(CancellationToken.None);
            }
        }
    }

    [Fact]
    public async Task EqualTimes_LoseAndRepeatNothingInPages()
    {
        var clock = new JumpingClock();
        clock.Stop();
        await using var storage = await StorageFixture.StartAsync(time: clock, settings: ("Database:BallastBytes", "0"));
        var turns = Enumerable.Range(0, 50).Select(i => AskNew(NewId(), "carol", Says("user", $"{i}"))).ToArray();
        await storage.WriteAsync([.. turns.Select(turn => turn.In()), .. turns.Select(turn => turn.Answered("x").In())]);

        var sessions = new List<string>();
        var after = "";
        do
        {
            var page = await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Owner("carol"), UserId = "carol", Limit = 7, After = after });
            sessions.AddRange(page.Sessions.Select(session => session.SessionId));
            after = page.Next;
        }
        while (after.Length > 0);

        Assert.Equal(turns.Select(turn => turn.SessionId).Order(), sessions.Order());
    }

    private static async Task<List<Message>> PagesAsync(StorageFixture storage, string sessionId)
    {
        var messages = new List<Message>();
        while (true)
        {
            var page = await storage.Sessions.ListMessagesAsync(new ListMessagesRequest { Scope = Everyone, SessionId = sessionId, Limit = 100, Offset = messages.Count });
            messages.AddRange(page.Messages);
            if (page.Messages.Count == 0)
            {
                return messages;
            }
        }
    }
}
