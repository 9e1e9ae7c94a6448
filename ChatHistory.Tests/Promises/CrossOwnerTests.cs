using System.Globalization;
using System.Text.RegularExpressions;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.Promises.Attacks;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// What belongs to somebody else does not exist, on every way in: each parameter of each route of the OpenAPI document, with ids of three victims,
/// tried by the owners of other keys, by other users of the same UI and by the owners of tokens. So a new route is covered by being there.
/// </summary>
[Trait(Promise.Trait, "S1")]
public sealed partial class CrossOwnerTests(KeyedSystem system, ITestOutputHelper output) : IClassFixture<KeyedSystem>
{
    private const int SideBySide = 4;

    [Fact]
    public async Task SomebodyElses_IsTheSameAsNobodys()
    {
        var promise = new Promise("S1", output);
        using var over = new CancellationTokenSource();
        using var webUI = await system.Running.TrustedClientOfAsync(NewName("webui"));
        using var erasClient = await system.Running.ClientOfAsync(NewName("era"));
        using var evesClient = await system.Running.ClientOfAsync(NewName("eve"));
        using var norasClient = system.ClientWithToken(NewName("nora"));
        using var olegsClient = system.ClientWithToken(NewName("oleg"));
        Belongings[] victims =
        [
            await Belongings.CreateAsync(new Party(await NameOfAsync(erasClient), erasClient), running: true, over.Token),
            await VictimOfUIAsync(webUI, over.Token),
            await Belongings.CreateAsync(new Party(await NameOfAsync(norasClient), norasClient), running: false, over.Token),
        ];
        var (mallory, trudy) = (NewName("mallory"), NewName("trudy"));
        Party[] attackers =
        [
            new(await NameOfAsync(evesClient), evesClient),
            new(await NameOfAsync(olegsClient), olegsClient),
            new(mallory, webUI, ("X-OpenWebUI-User-Id", mallory)),
            new(trudy, webUI, ("X-User-Id", trudy)),
        ];
        var operations = await OpenApiOperation.ReadAllAsync(system.Client);
        Assert.True(operations.Length >= 30, "the OpenAPI document has lost its routes");

        var all = new List<Attempt>();
        foreach (var attacker in attackers)
        {
            var own = await Belongings.CreateAsync(attacker, running: false, over.Token);
            all.AddRange(victims.SelectMany(victim => AttackMatrix.Of(operations, attacker, own, victim)));
        }

        var random = new Random(promise.Seed);
        var attempts = Promise.IsLong ? [.. all] : all.OrderBy(_ => random.Next()).Take(400).ToArray();
        var before = victims.Select(RowsOf).ToArray();
        var asked = await AskedAsync(victims);

        var ignored = 0;
        await Parallel.ForEachAsync(attempts, new ParallelOptions { MaxDegreeOfParallelism = SideBySide }, async (attempt, _) =>
        {
            Interlocked.Add(ref ignored, await TryAsync(attempt, victims) ? 1 : 0);
        });

        Assert.Equal(before, victims.Select(RowsOf));
        // The simulator remembers its last requests only: the victims' own may be forgotten meanwhile, but none may be added.
        Assert.All(asked.Zip(await AskedAsync(victims)), times => Assert.InRange(times.Second, 0, times.First));
        foreach (var victim in victims.Where(victim => victim.Running.SessionId is not null))
        {
            var runs = await victim.Owner.DoneAsync(HttpMethod.Get, $"/v1/sessions/{victim.Running.SessionId}/runs");
            Assert.Equal(1, runs.Body.GetProperty("runs").GetArrayLength());
        }

        await over.CancelAsync();
        Assert.True(!Promise.IsLong || attempts.Length >= 5_000, $"{attempts.Length} attempts");
        promise.Figure(string.Create(
            CultureInfo.InvariantCulture,
            $"{attempts.Length} of {all.Count} attempts on {operations.Length} routes by {attackers.Length} attackers at {victims.Length} victims: 0 successes, {ignored} others' names ignored, {before.Sum(rows => rows.Rows)} rows of the victims unchanged"));
    }

    [Fact]
    public async Task TheSameTranscriptAndKey_AreAnotherTurn()
    {
        using var owner = await system.Running.ClientOfAsync(NewName("ines"));
        using var intruder = await system.Running.ClientOfAsync(NewName("jack"));
        var has = await Belongings.CreateAsync(new Party(await NameOfAsync(owner), owner), running: false, CancellationToken.None);

        var sameKey = await intruder.SendJsonAsync(HttpMethod.Post, ChatRequests.Completions, has.IdempotentBody, ("Idempotency-Key", has.IdempotencyKey));
        var otherBody = await intruder.SendJsonAsync(HttpMethod.Post, ChatRequests.Completions, ChatRequests.Body("other", stream: false), ("Idempotency-Key", NewName("key")));
        var sameTranscript = await intruder.PostJsonAsync(ChatRequests.Completions, $$"""{"messages":[{{has.Transcript}},{"role":"user","content":"go on"}]}""");

        Assert.All([sameKey, otherBody, sameTranscript], answer => Assert.Equal(System.Net.HttpStatusCode.OK, answer.Status));
        Assert.NotEqual(has.Completions[0], sameKey.Body.GetProperty("id").GetString());
        Assert.DoesNotContain(sameKey.SessionId, has.Sessions);
        Assert.DoesNotContain(sameTranscript.SessionId, has.Sessions);
        Assert.Equal(3, (await intruder.MessagesOfAsync(sameTranscript.SessionId)).Length - 1);
    }

    /// <summary>A UI's session has an id made by a rule. Whoever knows the rule can ask before it is there, and at the very moment when it is made.</summary>
    [Fact]
    public async Task SessionThatIsBeingMade_IsItsOwnersFromTheBeginning()
    {
        var promise = new Promise("S1", output);
        using var webUI = await system.Running.TrustedClientOfAsync(NewName("webui"));
        using var intruder = await system.Running.ClientOfAsync(NewName("ken"));
        var user = NewName("lena");
        var rounds = Promise.Size(10, 100);
        for (var round = 0; round < rounds; round++)
        {
            var chat = Guid.NewGuid().ToString();
            (string, string)[] headers = [("X-OpenWebUI-User-Id", user), ("X-OpenWebUI-Chat-Id", chat)];
            var id = (await webUI.SendJsonAsync(HttpMethod.Post, ChatRequests.Completions, ChatRequests.Body("first", stream: false), headers)).SessionId;
            await webUI.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{id}", headers: ("X-OpenWebUI-User-Id", user));

            var answers = await Task.WhenAll(
                Enumerable.Range(0, 4).Select(_ => intruder.PostJsonAsync(ChatRequests.Completions, ChatRequests.Body("mine", stream: false, more: $"\"session_id\":\"{id}\"")))
                    .Concat(Enumerable.Range(0, 2).Select(_ => intruder.GetJsonAsync($"/v1/sessions/{id}/messages")))
                    .Append(webUI.SendJsonAsync(HttpMethod.Post, ChatRequests.Completions, ChatRequests.Body("again", stream: false), headers))
                    .Concat(Enumerable.Range(0, 2).Select(_ => intruder.PostJsonAsync($"/v1/sessions/{id}/fork", "{}"))));

            Assert.Equal(id, Assert.Single(answers, answer => (int)answer.Status < 300).SessionId);
            Assert.All(answers.Where(answer => (int)answer.Status >= 300), answer => Assert.Equal((System.Net.HttpStatusCode.NotFound, "session_not_found"), (answer.Status, answer.ErrorCode)));
        }

        promise.Figure($"{rounds} sessions asked for by a stranger while they were made: always their owner's");
    }

    /// <summary>True when the id was ignored; false when the request was refused.</summary>
    private static async Task<bool> TryAsync(Attempt attempt, Belongings[] victims)
    {
        var twin = Twin.Of(attempt.Id);
        var (refused, unknown) = (await SendAsync(attempt, attempt.Id), await SendAsync(attempt, twin));
        var what = $"{attempt.Name} with {attempt.Id}, by {attempt.Attacker.Name}";

        Assert.True((int)refused.Answer.Status < 500, $"{what} gives {refused.Answer.Status}: {refused.Answer.Text}");
        Assert.True(refused.Answer.Status == unknown.Answer.Status, $"{what} gives {refused.Answer.Status}, nobody's gives {unknown.Answer.Status}:\n{refused.Answer.Text}\n{unknown.Answer.Text}");
        var isRefused = (int)refused.Answer.Status >= 400;
        Assert.True(isRefused || !attempt.MustFail, $"{what} gives {refused.Answer.Status}: {refused.Answer.Text}");
        if (isRefused)
        {
            Assert.Equal(Plain(unknown, twin, attempt.Other), Plain(refused, attempt.Id, attempt.Other));
            Assert.Equal(unknown.Answer.Headers.Keys.Order(StringComparer.Ordinal), refused.Answer.Headers.Keys.Order(StringComparer.Ordinal));
        }

        var said = refused.Answer.Text + string.Join('\n', refused.Answer.Headers.Select(header => header.Value));
        // What an attacker once wrote into its own sessions' metadata (a UI's chat id, for one) comes back in its own lists.
        var saidOfItself = Metadata().Replace(said, "");
        foreach (var mark in victims.SelectMany(victim => victim.Marks).Where(mark => !refused.Sent.Contains(mark, StringComparison.Ordinal)))
        {
            Assert.False((Guid.TryParse(mark, out _) ? saidOfItself : said).Contains(mark, StringComparison.Ordinal), $"{what} is told '{mark}': {said}");
        }

        return !isRefused;
    }

    [GeneratedRegex("\"metadata\":\\{[^{}]*\\}")]
    private static partial Regex Metadata();

    private static string Plain((Answer Answer, string Sent) sent, string id, string? other)
    {
        var text = sent.Answer.Text.Replace(id, "ID", StringComparison.Ordinal).Replace(id.Replace("conv_", "", StringComparison.Ordinal), "ID", StringComparison.Ordinal);
        return other is null ? text : text.Replace(other, "OTHER", StringComparison.Ordinal).Replace(AttackMatrix.Nobodys(other), "OTHER", StringComparison.Ordinal);
    }

    private static async Task<(Answer Answer, string Sent)> SendAsync(Attempt attempt, string id)
    {
        var (method, path, body, headers) = attempt.Build(id);
        var answer = await attempt.Attacker.SendAsync(method, path, body, headers);
        return (answer, $"{Uri.UnescapeDataString(path)} {body} {string.Join(' ', headers)} {id}");
    }

    private (string Hash, int Rows) RowsOf(Belongings victim) => OwnersRows.Read(system.Running.DatabasePath, victim.Owner.Name, victim.Running.SessionId ?? "");

    /// <summary>How many requests with a victim's words the model server has got.</summary>
    private async Task<int[]> AskedAsync(Belongings[] victims) =>
        await Task.WhenAll(victims.Select(async victim => (await system.Simulator.RequestsWithAsync(victim.Canary)).Length));

    private static async Task<Belongings> VictimOfUIAsync(HttpClient webUI, CancellationToken until)
    {
        var name = NewName("vera");
        return await Belongings.CreateAsync(new Party(name, webUI, ("X-OpenWebUI-User-Id", name)), running: false, until);
    }

    private static async Task<string> NameOfAsync(HttpClient client) => (await client.PostJsonAsync("/v1/sessions", "{}")).Body.GetProperty("user_id").GetString()!;

    private static string NewName(string name) => $"{name}-{Guid.NewGuid():N}";
}
