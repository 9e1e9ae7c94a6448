using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>R6: whatever the model server does wrong, in every dialect: nothing hangs, the error is the right one, what had come is kept, nothing is asked twice or leaks.</summary>
[Trait(Promise.Trait, "R6")]
[Collection(Alone.Name)]
public sealed class UpstreamFaultsTests(ITestOutputHelper output)
{
    private static readonly TimeSpan s_response = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_answer = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_tolerance = TimeSpan.FromSeconds(1);

    // For one of them, on a machine that is busy with sixty at once and with other tests.
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(15);

    private static readonly Surface[] s_surfaces =
    [
        new("chat", Completions, true), new("chat", Completions, false),
        new("responses", "/v1/responses", true), new("responses", "/v1/responses", false),
        new("completions", "/v1/completions", true), new("completions", "/v1/completions", false),
        new("embeddings", "/v1/embeddings", false),
    ];

    /// <summary>What each fault becomes: of a stream, of a whole answer, and whether what is passed through unread looks like an answer.</summary>
    private static readonly Dictionary<string, Expected> s_expected = new()
    {
        ["error-400"] = new(Error(400, "invalid_request")),
        ["error-401"] = new(Error(502, "upstream_authentication")),
        ["error-422"] = new(Error(422, "invalid_request")),
        ["error-429"] = new(Error(429, "rate_limit_exceeded")),
        ["error-500"] = new(Error(500, "upstream_error")),
        ["error-503"] = new(Error(503, "upstream_unavailable")),
        ["html"] = new(Error(502, "upstream_error")),
        ["html-200"] = new(Error(502, "upstream_invalid_response"), IsUnreadAnswer: true),
        ["ok-with-error"] = new(Error(500, "upstream_error"), IsUnreadAnswer: true),
        ["hang-before-headers"] = new(Error(504, "upstream_timeout"), After: s_response),
        ["hang-mid-stream"] = new(Broken("upstream_timeout"), Error(504, "upstream_timeout"), After: s_idle),
        ["reset"] = new(Broken("upstream_ended_early"), Error(502, "upstream_ended_early")),
        ["close"] = new(Broken("upstream_ended_early"), Error(502, "upstream_invalid_response"), IsUnreadAnswer: true),
        ["no-done"] = new(Whole),
        ["no-usage"] = new(Whole),
        ["error-chunk"] = new(Broken("upstream_error"), Error(500, "upstream_error"), IsUnreadAnswer: true),
        ["invalid-json"] = new(Whole, Error(502, "upstream_invalid_response"), IsUnreadAnswer: true),
        ["huge-line"] = new(Whole),
        ["split-utf8"] = new(Whole),
        ["crlf"] = new(Whole),
        ["comments"] = new(Whole),
        ["reset-before-headers"] = new(Error(503, "upstream_unavailable")),
        ["garbage-headers"] = new(Error(502, "upstream_invalid_response")),
        ["huge-headers"] = new(Error(502, "upstream_invalid_response")),
        ["hang-in-error"] = new(Error(500, "upstream_error"), After: s_idle),
        ["comments-forever"] = new(AtLimit, Whole, After: s_answer),
        ["endless"] = new(AtLimit, Error(504, "upstream_timeout"), After: s_answer, WholeAfter: s_response),
    };

    private static Ending Whole => new(200, null, "completed");

    private static Ending AtLimit => new(200, null, "incomplete");

    [Fact]
    public async Task EveryFault_InEveryDialect_EndsInTime_WithItsError_AndKeepsWhatCame()
    {
        var promise = new Promise("R6", output);
        await using var system = await RunningSystem.StartAsync(settings:
        [
            ("Vllm__ResponseTimeout", $"{s_response}"), ("Vllm__IdleTimeout", $"{s_idle}"), ("Vllm__MaxAnswerTime", $"{s_answer}"),
            ("Simulator__RecordedRequests", "100000"),
        ]);
        using var probe = new SimulatorProbe(system.Simulator!);
        // Every kind of connection and code has been used once before what is open is counted.
        await AskAsync(system, s_surfaces[0], "no-done");
        await AskAsync(system, s_surfaces[4], "no-done");
        var (files, memory) = (system.Gateway.OpenFiles(), system.Gateway.ResidentBytes());

        var faults = await FaultsAsync(system);
        Assert.Empty(faults.Except(s_expected.Keys));
        var random = new Random(promise.Seed);
        var cases = Enumerable.Range(0, Promise.Size(1, 10)).SelectMany(_ => from surface in s_surfaces from fault in faults select (surface, fault)).ToArray();
        random.Shuffle(cases);
        var seen = new List<Seen>();
        foreach (var group in cases.Chunk(63))
        {
            seen.AddRange(await Task.WhenAll(group.Select(@case => AskAsync(system, @case.surface, @case.fault))));
        }

        var attempts = await AttemptsAsync(system);
        foreach (var one in seen)
        {
            await CheckAsync(system, one, attempts);
        }

        var late = seen.Where(one => one.Limit > TimeSpan.Zero).Select(one => (one.Took - one.Limit).Duration()).ToArray();
        // Sixty are asked at once: what an answer without a fault takes meanwhile is the machine's.
        var usual = seen.Where(one => one.Limit == TimeSpan.Zero).Select(one => one.Took).ToArray().Percentile(95);
        Assert.True(late.Percentile(95) < s_tolerance + usual, $"limits were kept to {late.Percentile(95)} only, when an answer without a fault took {usual}");
        await probe.WaitUntilIdleAsync();
        await CheckNothingIsLeftAsync(system, files);

        // The last fault of all: nobody is there.
        await system.Simulator!.KillAsync();
        foreach (var surface in s_surfaces)
        {
            var refused = await AskAsync(system, surface, "");
            Assert.Equal((503, "upstream_unavailable", "5"), (refused.Status, refused.Code, refused.RetryAfter));
        }

        promise.Figure(string.Create(CultureInfo.InvariantCulture,
            $"{seen.Count} answers, {faults.Length + 1} faults x {s_surfaces.Length} dialects: 0 hung, limits kept to p95 {late.Percentile(95).TotalSeconds:0.00} s, all {late.Max().TotalSeconds:0.00} s, 1 attempt each; files {files} -> {system.Gateway.OpenFiles()}, memory {memory.Megabytes()} -> {system.Gateway.ResidentBytes().Megabytes()}"));
    }

    [Fact]
    public async Task AnEndlessAnswer_EndsAtItsBytes_AsAtATokenLimit()
    {
        await using var system = await RunningSystem.StartAsync(settings: ("Vllm__MaxAnswerBytes", "200000"));
        using var probe = new SimulatorProbe(system.Simulator!);
        foreach (var stream in new[] { true, false })
        {
            var prompt = NewPrompt();
            using var request = new HttpRequestMessage(HttpMethod.Post, Completions) { Content = RunningSystem.Json(Body(prompt, stream, stream ? """{"fault":"endless"}""" : """{"fault":"huge-line","fault_bytes":300000}""")) };
            using var response = await system.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            var answer = await StreamedAnswer.ReadAsync(response);

            var stored = (await system.Client.MessagesOfAsync(answer.SessionId))[1];
            if (stream)
            {
                Assert.True(answer.IsDone);
                Assert.Equal("length", JsonElement.Parse(answer.Data[^2]).GetProperty("choices")[0].GetProperty("finish_reason").GetString());
                Assert.InRange(answer.Text.Length, 150_000, 250_000);
                Assert.Equal(("incomplete", answer.Content), (stored.GetProperty("status").GetString(), stored.GetProperty("content").GetString()));
                await probe.WaitForOutcomeAsync(prompt, "aborted");
            }
            else
            {
                Assert.Equal((HttpStatusCode.BadGateway, "failed"), (response.StatusCode, stored.GetProperty("status").GetString()));
                Assert.Contains("upstream_response_too_large", answer.Text, StringComparison.Ordinal);
            }
        }
    }

    private static Ending Error(int status, string code) => new(status, code, "failed");

    private static Ending Broken(string code) => new(200, code, "failed");

    private static async Task<string[]> FaultsAsync(RunningSystem system)
    {
        using var simulator = new HttpClient { BaseAddress = system.Simulator!.Addresses[0] };
        return [.. (await simulator.GetJsonAsync("/simulator/faults")).Body.EnumerateArray().Select(fault => fault.GetProperty("name").GetString()!)];
    }

    /// <summary>How often the model was asked for each prompt.</summary>
    private static async Task<Dictionary<string, int>> AttemptsAsync(RunningSystem system)
    {
        using var simulator = new HttpClient { BaseAddress = system.Simulator!.Addresses[0] };
        return (await simulator.GetJsonAsync("/simulator/requests")).Body.GetProperty("data").EnumerateArray()
            .Where(request => request.GetProperty("path").GetString() != "/tokenize")
            .Select(request => request.GetProperty("body").TryGetProperty("user", out var user) ? user.GetString()! : "")
            .GroupBy(user => user)
            .ToDictionary(user => user.Key, user => user.Count());
    }

    private static async Task<Seen> AskAsync(RunningSystem system, Surface surface, string fault)
    {
        var prompt = NewPrompt();
        var text = $"\"{prompt}\"";
        var input = surface.Name switch
        {
            "chat" => $$"""
                "messages":[{"role":"user","content":{{text}}}]
                """,
            "completions" => $"\"max_tokens\":40,\"prompt\":{text}",
            _ => $"\"input\":{text}",
        };
        // At full speed an endless answer is gigabytes before its time is up.
        var pace = fault == "endless" ? ",\"token_ms\":20" : "";
        var body = $$"""{"model":"{{RunningSystem.Model}}","user":{{text}},"simulator":{"fault":"{{fault}}","fault_after":4{{pace}}},{{(surface.Name == "embeddings" ? "" : $"\"stream\":{(surface.Stream ? "true" : "false")},")}}{{input}}}""";

        var began = Stopwatch.GetTimestamp();
        using var request = new HttpRequestMessage(HttpMethod.Post, surface.Path) { Content = RunningSystem.Json(body) };
        using var response = await system.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var answer = await StreamedAnswer.ReadAsync(response);
        var took = Stopwatch.GetElapsedTime(began);
        s_expected.TryGetValue(fault, out var expected);
        var (code, text2) = surface.Stream && response.IsSuccessStatusCode ? ReadStream(surface, answer) : ((int)answer.Status >= 400 ? CodeOf(answer.Text) : null, "");
        return new Seen(surface, fault, prompt, (int)answer.Status, code, text2, answer.Cut is not null, took, expected?.LimitOf(surface) ?? TimeSpan.Zero,
            answer.Headers.GetValueOrDefault("X-Session-Id"), answer.Headers.GetValueOrDefault("Retry-After"));
    }

    private static (string? Code, string Text) ReadStream(Surface surface, StreamedAnswer answer)
    {
        if (surface.Name != "responses")
        {
            var failed = answer.Data is [.., var last] && last.StartsWith("{\"error\"", StringComparison.Ordinal);
            return (failed ? answer.ErrorCode : null, surface.Name == "chat" ? answer.Content : "");
        }

        var text = new StringBuilder();
        string? code = null;
        foreach (var data in answer.Data.Select(data => JsonElement.Parse(data)))
        {
            switch (data.GetProperty("type").GetString())
            {
                case "response.output_text.delta":
                    text.Append(data.GetProperty("delta").GetString());
                    break;
                case "response.failed":
                    code = data.GetProperty("response").GetProperty("error").GetProperty("code").GetString();
                    break;
            }
        }

        return (code, text.ToString());
    }

    private static string? CodeOf(string body) => JsonElement.Parse(body).GetProperty("error").GetProperty("code").GetString();

    private static async Task CheckAsync(RunningSystem system, Seen seen, Dictionary<string, int> attempts)
    {
        var expected = s_expected[seen.Fault];
        var ending = seen.Surface.Stream ? expected.Streamed : expected.Whole ?? expected.Streamed;
        if (seen.Surface.IsPassedThrough)
        {
            CheckPassedThrough(seen, expected, ending);
        }
        else
        {
            var isEarly = IsResetBeforeAnything(seen);
            Assert.True(isEarly || (ending.Status, ending.Code) == (seen.Status, seen.Code), $"{seen} instead of {ending}");
            // In the Responses' stream a failure is an event, and the connection ends in order.
            Assert.True(isEarly || seen.IsCut == (seen.Surface is { Name: "chat", Stream: true } && ending is { Status: 200, Code: not null }), $"{seen}: how the connection ended");
            var stored = (await system.Client.MessagesOfAsync(seen.SessionId!))[1];
            Assert.True(ending.Stored == stored.GetProperty("status").GetString(), $"{seen} is stored as {stored}");
            Assert.True(!seen.Surface.Stream || seen.Status != 200 || seen.Text == stored.GetProperty("content").GetString(), $"{seen} is stored as {stored}");
        }

        Assert.True(attempts.GetValueOrDefault(seen.Prompt) == 1, $"{seen} was asked {attempts.GetValueOrDefault(seen.Prompt)} times");
        // How exactly the limits are kept is judged of all of them together; no single one is anywhere near the client's own patience.
        Assert.True(seen.Took < seen.Limit + s_longest, $"{seen} took {seen.Took} instead of {seen.Limit}");
    }

    // A reset takes from the receiver what it has not read yet: nothing of the answer may have come.
    private static bool IsResetBeforeAnything(Seen seen) => seen is { Fault: "reset" or "garbage-headers", Status: 503, Code: "upstream_unavailable" };

    /// <summary>Nothing of it is read here: an answer that says 200 passes, and ends broken when its connection or its time does.</summary>
    private static void CheckPassedThrough(Seen seen, Expected expected, Ending ending)
    {
        var isAnswer = seen is { Status: 200, Code: null, IsCut: false };
        var isError = seen.Status == ending.Status && seen.Code == ending.Code && seen.Status >= 400;
        var isBroken = seen is { Status: 200, IsCut: true };
        var fits = ending switch
        {
            _ when seen.Surface.Name == "embeddings" && seen.Fault is "endless" or "error-chunk" => isAnswer || isError,
            _ when IsResetBeforeAnything(seen) => true,
            { Stored: "completed" } => isAnswer,
            { Stored: "incomplete" } => isBroken,
            { Status: 200 } => isBroken || (expected.IsUnreadAnswer && seen.Status == 200),
            _ => isError || isBroken || (expected.IsUnreadAnswer && isAnswer),
        };
        Assert.True(fits, $"{seen} instead of {ending}");
    }

    private static async Task CheckNothingIsLeftAsync(RunningSystem system, int? files)
    {
        using (var database = OtherTool.Open(system.DatabasePath))
        {
            Assert.Equal(["0"], database.Query("SELECT count(*) FROM messages WHERE status = 'in_progress'"));
        }

        // Ours are still pooled on the client's side; they are not more than were used at once.
        await Eventually.GetAsync(() => Task.FromResult(system.Gateway.OpenFiles()), now => now is null || now <= files + 70);
        Assert.DoesNotContain(" ERR ", system.Gateway.Output, StringComparison.Ordinal);
    }

    private sealed record Surface(string Name, string Path, bool Stream)
    {
        public bool IsPassedThrough => Name is "completions" or "embeddings";
    }

    private sealed record Ending(int Status, string? Code, string Stored);

    private sealed record Expected(Ending Streamed, Ending? Whole = null, TimeSpan After = default, TimeSpan? WholeAfter = null, bool IsUnreadAnswer = false)
    {
        public TimeSpan LimitOf(Surface surface) => surface.Name == "embeddings" && WholeAfter is not null ? default
            : surface.Stream ? After
            : Whole is { Status: 200 } ? default
            : WholeAfter ?? After;
    }

    private sealed record Seen(
        Surface Surface, string Fault, string Prompt, int Status, string? Code, string Text, bool IsCut, TimeSpan Took, TimeSpan Limit, string? SessionId, string? RetryAfter);
}
