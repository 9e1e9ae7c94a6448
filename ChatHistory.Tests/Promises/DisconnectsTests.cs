using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Microsoft.AspNetCore.Http;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>R7: clients that leave at any chunk: the model is stopped, what had come is kept, and nothing is left behind.</summary>
[Trait(Promise.Trait, "R7")]
public sealed class DisconnectsTests(ITestOutputHelper output)
{
    private const int AtOnce = 10;
    private static readonly TimeSpan s_stopsWithin = TimeSpan.FromSeconds(1);

    // docs/decisions: an official SDK that lost its connection comes back within this time, and is waited for.
    private static readonly TimeSpan s_graceOfSdks = TimeSpan.FromMilliseconds(950);

    [Fact]
    public async Task ClientsThatLeaveAtAnyChunk_StopTheModel_WithinASecond()
    {
        var promise = new Promise("R7", output);
        var random = new Random(promise.Seed);
        var stopped = new ConcurrentDictionary<string, TaskCompletionSource<long>>();
        await using var model = await ScriptedModelServer.StartAsync();
        model.Every = (context, body) => TalkAsync(context, JsonElement.Parse(body), stopped);
        await using var system = await RunningSystem.StartAsync(model.Address);
        var visits = Enumerable.Range(0, Promise.Size(60, 1000)).Select(_ => Visit.Random(random)).ToArray();
        // The first one asks whether this server counts tokens.
        await LeaveAsync(system, visits[0], stopped);
        var files = system.Gateway.OpenFiles();

        var gone = new List<(Visit Visit, string? SessionId, string Seen, TimeSpan Took)>();
        foreach (var group in visits.Chunk(AtOnce))
        {
            gone.AddRange(await Task.WhenAll(group.Select(visit => LeaveAsync(system, visit, stopped))));
        }

        using (var database = OtherTool.Open(system.DatabasePath))
        {
            await Eventually.GetAsync(() => Task.FromResult(database.Query("SELECT count(*) FROM messages WHERE status = 'in_progress'").Single()), count => count == "0");
            Assert.Equal(["cancelled|client_disconnected"], database.Query("SELECT DISTINCT status, json_extract(error, '$.code') FROM messages WHERE role = 'assistant'"));
        }

        foreach (var (_, sessionId, seen, _) in gone.Where(one => one.SessionId is not null))
        {
            var content = (await system.Client.MessagesOfAsync(sessionId!))[1].GetProperty("content").GetString()!;
            Assert.StartsWith(seen, content, StringComparison.Ordinal);
            Assert.StartsWith(content, TextOf(0, content.Length), StringComparison.Ordinal);
        }

        await Eventually.GetAsync(() => Task.FromResult(system.Gateway.OpenFiles()), now => now is null || now <= files + (2 * AtOnce));
        Assert.DoesNotContain(" ERR ", system.Gateway.Output, StringComparison.Ordinal);

        var plain = gone.Where(one => !one.Visit.IsSdk).Select(one => one.Took).ToArray();
        var sdk = gone.Where(one => one.Visit.IsSdk).Select(one => one.Took).ToArray();
        promise.Figure(string.Create(CultureInfo.InvariantCulture,
            $"{gone.Count} clients left: model stopped after p50 {plain.Percentile(50).Milliseconds()}, p99 {plain.Percentile(99).Milliseconds()}; SDKs, waited for {s_graceOfSdks.TotalMilliseconds:0} ms, p99 {sdk.Percentile(99).Milliseconds()}; 0 rows in progress"));
        Assert.InRange(plain.Percentile(99), TimeSpan.Zero, s_stopsWithin);
        Assert.InRange(sdk.Percentile(99), TimeSpan.Zero, s_stopsWithin + s_graceOfSdks);
    }

    private static async Task<(Visit Visit, string? SessionId, string Seen, TimeSpan Took)> LeaveAsync(
        RunningSystem system, Visit visit, ConcurrentDictionary<string, TaskCompletionSource<long>> stopped)
    {
        var prompt = NewPrompt();
        var end = stopped[prompt] = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        var json = visit.Path == Completions ? Body(prompt, visit.Stream) : $$"""{"stream":{{(visit.Stream ? "true" : "false")}},"input":"{{prompt}}"}""";
        using var connection = await RawConnection.PostAsync(system.Client.BaseAddress!, visit.Path, json, visit.IsSdk ? "x-stainless-retry-count: 0\r\n" : "");
        if (visit.Stream)
        {
            await connection.ReadUntilAsync(body => body.Split("\n\n").Length > visit.Chunks);
        }
        else
        {
            await Eventually.GetAsync(() => Task.FromResult(stopped.ContainsKey(prompt + " began")), began => began);
        }

        var left = Stopwatch.GetTimestamp();
        if (visit.ByReset)
        {
            connection.Reset();
        }
        else
        {
            connection.Dispose();
        }

        var took = Stopwatch.GetElapsedTime(left, await end.Task.WaitAsync(TimeSpan.FromSeconds(30)));
        return (visit, visit.Stream ? connection.SessionId : null, visit is { Stream: true, Path: Completions } ? StreamedAnswer.ContentOf(connection.Body) : "", took);
    }

    /// <summary>A model that talks until nobody listens, and says when that was.</summary>
    private static async Task TalkAsync(HttpContext context, JsonElement request, ConcurrentDictionary<string, TaskCompletionSource<long>> stopped)
    {
        var prompt = request.GetProperty("messages")[0].GetProperty("content").GetString()!;
        using var left = context.RequestAborted.Register(() => stopped[prompt].TrySetResult(Stopwatch.GetTimestamp()));
        stopped.TryAdd(prompt + " began", new TaskCompletionSource<long>());
        try
        {
            var isStream = request.TryGetProperty("stream", out var stream) && stream.GetBoolean();
            context.Response.ContentType = isStream ? "text/event-stream" : "application/json";
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
            for (var i = 0; await pace.WaitForNextTickAsync(context.RequestAborted); i++)
            {
                await context.Response.WriteAsync(
                    isStream ? $$$"""data: {"id":"chatcmpl-{{{prompt}}}","choices":[{"index":0,"delta":{"content":"{{{WordOf(i)}}}"}}]}""" + "\n\n" : " ", context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            // The wait may hear of it before the registration does.
            stopped[prompt].TrySetResult(Stopwatch.GetTimestamp());
        }
    }

    private static string WordOf(int index) => string.Create(CultureInfo.InvariantCulture, $"{index} é 字 ");

    private static string TextOf(int from, int length)
    {
        var text = new System.Text.StringBuilder();
        for (var i = from; text.Length < length; i++)
        {
            text.Append(WordOf(i));
        }

        return text.ToString();
    }

    private sealed record Visit(string Path, bool Stream, int Chunks, bool ByReset, bool IsSdk)
    {
        public static Visit Random(Random random) =>
            new(random.Next(4) == 0 ? "/v1/responses" : Completions, random.Next(5) > 0, random.Next(60), random.Next(2) == 0, random.Next(5) == 0);
    }
}
