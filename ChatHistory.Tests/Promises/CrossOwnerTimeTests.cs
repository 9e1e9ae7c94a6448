using System.Diagnostics;
using System.Globalization;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>How long a refusal takes does not tell whether somebody else has what was asked for.</summary>
[Trait(Promise.Trait, "S1")]
[Collection(Alone.Name)]
public sealed class CrossOwnerTimeTests(KeyedSystem system, ITestOutputHelper output) : IClassFixture<KeyedSystem>
{
    /// <summary>Storage is asked only within the scope: what it takes to find that something is not there does not depend on whether somebody else has it.</summary>
    [Fact]
    public async Task Time_TellsNothing()
    {
        var promise = new Promise("S1", output);
        using var owner = await system.Running.ClientOfAsync(NewName("olga"));
        using var intruder = await system.Running.ClientOfAsync(NewName("ivan"));
        // A long path: whoever read it before looking whose it is would take long.
        var messages = string.Join(',', Enumerable.Range(0, 400).Select(i => $$"""{"role":"{{(i % 2 == 0 ? "user" : "assistant")}}","content":"{{i}} {{new string('x', 500)}}"}"""));
        var turn = await owner.PostJsonAsync(ChatRequests.Completions, $$"""{"messages":[{{messages}},{"role":"user","content":"the last"}]}""");
        var (session, message) = (turn.SessionId, turn.Headers["X-Message-Id"]);
        (string Name, string Id, Func<string, Task<Answer>> Ask)[] ways =
        [
            ("session", session, id => intruder.GetJsonAsync($"/v1/sessions/{id}")),
            ("messages", session, id => intruder.GetJsonAsync($"/v1/sessions/{id}/messages")),
            ("response", message, id => intruder.GetJsonAsync($"/v1/responses/resp_{id}")),
            ("session_id", session, id => intruder.PostJsonAsync(ChatRequests.Completions, ChatRequests.Body("x", stream: false, more: $"\"session_id\":\"{id}\""))),
            ("parent_message_id", message, id => intruder.PostJsonAsync(ChatRequests.Completions, ChatRequests.Body("x", stream: false, more: $"\"parent_message_id\":\"{id}\""))),
        ];
        var figures = new List<string>();
        foreach (var (name, id, ask) in ways)
        {
            var (theirs, nobodys) = (new List<double>(), new List<double>());
            for (var i = 0; i < Promise.Size(40, 400); i++)
            {
                // In turns, so that whatever else the machine does meets both.
                theirs.Add(await TimeAsync(() => ask(id)));
                nobodys.Add(await TimeAsync(() => ask(Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString())));
            }

            var (difference, usual) = (Median(theirs) - Median(nobodys), Median(nobodys));
            figures.Add(string.Create(CultureInfo.InvariantCulture, $"{name} {difference:+0.000;-0.000} of {usual:0.0} ms"));
            Assert.True(Math.Abs(difference) < Math.Max(1, 0.5 * usual), $"{name}: somebody's takes {Median(theirs):0.00} ms, nobody's {usual:0.00} ms");
        }

        promise.Figure($"difference of medians: {string.Join(", ", figures)}");
    }

    private static async Task<double> TimeAsync(Func<Task<Answer>> ask)
    {
        var began = Stopwatch.GetTimestamp();
        var answer = await ask();
        var took = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        Assert.Equal(System.Net.HttpStatusCode.NotFound, answer.Status);
        return took;
    }

    private static double Median(List<double> times) => times.Order().ElementAt(times.Count / 2);

    private static string NewName(string name) => $"{name}-{Guid.NewGuid():N}";
}
