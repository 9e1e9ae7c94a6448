using System.Diagnostics;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>R2: the gateway is killed in the middle of answers. Each turn ends all the same, with what was said up to a second or 64 tokens before.</summary>
[Trait(Promise.Trait, "R2")]
public sealed class KilledGatewayTests(ITestOutputHelper output)
{
    /// <summary>The promise is one second or 64 tokens; a commit and a machine that does other things as well come on top.</summary>
    private static readonly TimeSpan s_slack = TimeSpan.FromSeconds(Promise.Size(4, 1));

    // "12 字 é 345. " is five tokens or more of the simulator, in 11 characters or more.
    private const int CharactersOf64Tokens = 64 * 3;

    [Fact]
    public async Task InTheMiddleOfAnswers_KeepsWhatWasSaid()
    {
        var promise = new Promise("R2", output);
        var random = new Random(promise.Seed);
        var (kills, clients) = (Promise.Size(2, 200), Promise.Size(20, 50));
        await using var system = await RunningSystem.StartAsync(settings: ("Turns__AbandonedAfter", "00:00:03"));
        var load = new ChatLoad(system, promise.Seed);
        var killedAt = new List<long>();
        using (var enough = new CancellationTokenSource())
        {
            var chats = load.RunAsync(clients, words: 150, enough.Token);
            for (var kill = 0; kill < kills; kill++)
            {
                // Not to wait for anything: the moment of the kill is what is tried out.
                await Task.Delay(random.Next(500, 2500));
                killedAt.Add(Stopwatch.GetTimestamp());
                await system.Gateway.KillAsync();
                ChatLoad.CheckLiveFileOf(system);
                await system.Gateway.RestartAsync();
                await system.WaitUntilHealthyAsync();
            }

            await enough.CancelAsync();
            await chats.WaitAsync(TimeSpan.FromSeconds(90));
        }

        var (broken, most, longest) = (0, 0, TimeSpan.Zero);
        await load.CheckAsync((arrived, stored) =>
        {
            broken++;
            var had = arrived.Count == 0 ? 0 : arrived[^1].Length;
            var lost = Math.Max(0, had - stored);
            // From when the first character came that is not stored, to the kill that cut the stream.
            var first = arrived.FirstOrDefault(part => part.Length > stored);
            var kill = arrived.Count == 0 ? 0 : killedAt.LastOrDefault(at => at <= arrived[^1].At + Stopwatch.Frequency);
            var age = lost == 0 || kill == 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(Math.Max(0, kill - first.At) / (double)Stopwatch.Frequency);
            Assert.True(
                lost <= CharactersOf64Tokens || age <= TimeSpan.FromSeconds(1) + s_slack,
                $"Of {had} characters that a client had, {lost} are lost; the first of them came {age.TotalSeconds:0.00} s before the kill.");
            (most, longest) = (Math.Max(most, lost), age > longest ? age : longest);
        });
        Assert.True(broken > 0, "No stream was cut: nothing was tried.");
        promise.Figure(
            $"{kills} kills under {clients} chats: {load.Asked} turns asked for, {load.Finished} seen finished, 0 of these lost; {broken} streams cut, each stored as a prefix, "
            + $"at most {most} characters or {longest.TotalMilliseconds:0} ms short of what its client had");
    }
}
