using System.Net;
using System.Text;
using ChatHistory.Tests.EndToEnd;
using ChatHistory.Tests.Processes;
using Microsoft.AspNetCore.Http;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// What people say stays in the database, and keys are nowhere: both go through every path that a request can take, every way to fail included, and then
/// every log, span, metric and file is searched for them. The logs are at their most talkative.
/// </summary>
[Trait(Promise.Trait, "S3")]
public sealed class CanaryTests(ITestOutputHelper output)
{
    private const string Prompt = "kanarienvogel-7f3a";
    private const string UpstreamKey = "upstream-kanarie-key-51c0";
    private const string WrongKey = "chk_wrongkey_kanarie-nobodys-key";
    private const string Forged = "2099-12-31 23:59:59.000 ERR Forged";

    [Fact]
    public async Task Secrets_AreNowhere()
    {
        var promise = new Promise("S3", output);
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var model = await ScriptedModelServer.StartAsync();
        var system = await RunningSystem.StartAsync(model.Address,
            ("Identity__AdminKey", RunningSystem.AdminKey), ("Vllm__ApiKey", UpstreamKey), ("Vllm__IdleTimeout", "00:00:01"), ("Vllm__ResponseTimeout", "00:00:02"),
            ("Storage__BeginPatience", "00:00:00.5"), ("Storage__CompletePatience", "00:00:00.5"), ("Serilog__MinimumLevel__Default", "Debug"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Address.ToString()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_BSP_SCHEDULE_DELAY", "100"), ("OTEL_METRIC_EXPORT_INTERVAL", "500"), ("OTEL_BLRP_SCHEDULE_DELAY", "100"));
        await using var _ = system;
        using var client = await system.ClientOfAsync("ada");
        var key = client.DefaultRequestHeaders.Authorization!.Parameter!;
        var keyId = key.Split('_')[1];

        var rounds = Promise.Size(1, 20);
        var requests = 0;
        for (var round = 0; round < rounds; round++)
        {
            requests += await AskAsync(system, model, client, key);
        }

        requests += await WhileStorageIsDownAsync(system, client);
        await Eventually.GetAsync(() => Task.FromResult(receiver.Exports("/v1/traces").Length + receiver.Exports("/v1/metrics").Length + receiver.Exports("/v1/logs").Length), count => count > 5);
        await system.Gateway.StopAsync();
        await system.Storage.StopAsync();

        string[] secrets = [key, key.Split('_')[2], RunningSystem.AdminKey, UpstreamKey, WrongKey];
        var database = Directory.EnumerateFiles(Path.GetDirectoryName(system.DatabasePath)!).ToArray();
        var files = Directory.EnumerateFiles(system.VolumeDirectory, "*", SearchOption.AllDirectories).Except(database).ToArray();
        var places = files.Select(file => (Name: file, Bytes: ReadAll(file)))
            .Append((Name: "the gateway's console", Bytes: Encoding.UTF8.GetBytes(system.Gateway.Output)))
            .Append((Name: "the storage service's console", Bytes: Encoding.UTF8.GetBytes(system.Storage.Output)))
            .Concat(new[] { "/v1/traces", "/v1/metrics", "/v1/logs" }.SelectMany(path => receiver.Exports(path).Select(export => (Name: $"OTLP {path}", Bytes: export))))
            .ToArray();
        var found = places.SelectMany(place => secrets.Append(Prompt).Where(secret => Holds(place.Bytes, secret)).Select(secret => $"{secret} in {place.Name}: {Around(place.Bytes, secret)}"))
            .Concat(database.SelectMany(file => secrets.Where(secret => Holds(ReadAll(file), secret)).Select(secret => $"{secret} in {file}")))
            .Distinct().ToArray();

        Assert.Empty(found);
        // The search finds what is there.
        Assert.Contains(database, file => Holds(ReadAll(file), Prompt));
        Assert.Contains(database, file => Holds(ReadAll(file), keyId));
        Assert.Contains(places, place => place.Name.EndsWith(".log", StringComparison.Ordinal) && place.Bytes.Length > 0);
        Assert.Contains(places, place => place.Name == "OTLP /v1/traces" && Holds(place.Bytes, "gen_ai."));
        Assert.Contains(places, place => place.Name == "OTLP /v1/logs" && Holds(place.Bytes, "503"));
        // Nobody writes lines of their own: a line feed in a path stays inside the line that tells of it.
        Assert.DoesNotContain(system.Gateway.Output.Split('\n'), line => line.StartsWith("2099", StringComparison.Ordinal));
        Assert.Contains("Forged", system.Gateway.Output, StringComparison.Ordinal);
        promise.Figure($"{requests} requests with {secrets.Length} secrets and a prompt: 0 hits in {files.Length} files, {places.Length - files.Length} consoles and exports ({places.Sum(place => place.Bytes.Length) / 1024} KiB); no key in the database");
    }

    /// <summary>Every path, good and bad. Most answers do not matter: what is left behind does.</summary>
    private static async Task<int> AskAsync(RunningSystem system, ScriptedModelServer model, HttpClient client, string key)
    {
        const string Answer = $$$"""{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"{{{Prompt}}}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}""";
        const string Chunk = $$$"""data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"{{{Prompt}}}"}}]}""" + "\n\n";
        const string End = """data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""" + "\n\ndata: [DONE]\n\n";
        const string Echo = $$$"""{"error":{"message":"bad: {{{Prompt}}} {{{UpstreamKey}}}","type":"BadRequestError","param":"{{{Prompt}}}","code":400}}""";
        var (whole, stream) = (ChatRequests.Body(Prompt, stream: false), ChatRequests.Body(Prompt, stream: true));
        var count = 0;

        async Task<Answer?> SendAsync(HttpMethod method, string path, string? json = null, params (string, string)[] headers)
        {
            count++;
            try
            {
                return await client.SendJsonAsync(method, path, json, headers);
            }
            catch (HttpRequestException)
            {
                // Cut on purpose.
                return null;
            }
        }

        Task<Answer?> PostAsync(string path, string json, params (string, string)[] headers) => SendAsync(HttpMethod.Post, path, json, headers);

        model.NextBody(Answer);
        var turn = (await PostAsync(ChatRequests.Completions, ChatRequests.Body(Prompt, stream: false, more: $$$"""
            "store":true,"metadata":{"a":"{{{Prompt}}}"},"tools":[{"type":"function","function":{"name":"f","description":"{{{Prompt}}}"}}]
            """)))!;
        var session = turn.SessionId;
        model.NextStream(Chunk, End);
        await PostAsync(ChatRequests.Completions, stream, ("Idempotency-Key", $"{Prompt}{Guid.NewGuid()}"), ("X-Session-Id", session));
        model.NextBody(Answer);
        await PostAsync("/v1/responses", $$"""{"input":"{{Prompt}}","instructions":"{{Prompt}}"}""");
        model.NextStream(Chunk, End);
        await PostAsync("/v1/responses", $$"""{"input":"{{Prompt}}","stream":true}""");

        // The model server fails in every way, and says what it was asked.
        foreach (var path in new[] { ChatRequests.Completions, "/v1/embeddings", "/v1/responses" })
        {
            foreach (var status in new[] { 400, 401, 404, 422, 429, 500, 503 })
            {
                model.NextBody(Echo, status);
                await PostAsync(path, path == "/v1/responses" ? $$"""{"input":"{{Prompt}}"}""" : whole);
            }

            model.NextBody($"<html>{Prompt} {UpstreamKey}", 502, "text/html");
            await PostAsync(path, path == "/v1/responses" ? $$"""{"input":"{{Prompt}}"}""" : whole);
        }

        foreach (var pieces in new[] { [Chunk, $"data: {Echo}\n\n", "data: [DONE]\n\n"], [Chunk, $"data: {{\"{Prompt}\n\n", End], [Chunk], new[] { $"data: {Prompt}\n\n" } })
        {
            model.NextStream(pieces);
            await PostAsync(ChatRequests.Completions, stream);
        }

        model.NextBody($"{{\"{Prompt}\"");
        await PostAsync(ChatRequests.Completions, whole);
        model.Next(async (context, _) =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.WriteAsync(Chunk);
            await context.Response.Body.FlushAsync();
            context.Abort();
        });
        await PostAsync(ChatRequests.Completions, stream);
        model.Next((context, _) =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        await PostAsync("/v1/completions", $$"""{"prompt":"{{Prompt}}"}""");

        // The client leaves in the middle.
        model.Next(async (context, _) =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.WriteAsync(Chunk);
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        });
        using (var leaving = new HttpRequestMessage(HttpMethod.Post, ChatRequests.Completions) { Content = RunningSystem.Json(stream) })
        {
            using var left = await client.SendAsync(leaving, HttpCompletionOption.ResponseHeadersRead);
            count++;
        }

        // The client's own mistakes.
        foreach (var path in new[] { ChatRequests.Completions, "/v1/responses", "/v1/conversations", "/v1/embeddings", $"/v1/sessions/{session}/messages", "/v1/sessions", $"/v1/sessions/{session}/context/preview" })
        {
            foreach (var bad in new[] { $$"""{"messages":"{{Prompt}}""", $$"""{"messages":"{{Prompt}}","input":{"{{Prompt}}":1},"items":"{{Prompt}}","title":["{{Prompt}}"],"metadata":"{{Prompt}}"}""", $"\"{Prompt}\"", $"{{\"messages\":[{{\"role\":\"{Prompt}\"}}]}}", "{\"messages\":[{\"role\":\"user\",\"content\":\"" + Prompt + "\\ud800\"}]}" })
            {
                await PostAsync(path, bad);
            }
        }

        await PostAsync(ChatRequests.Completions, $$$"""{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/{{{Prompt}}}"}}]}]}""");
        await SendAsync(HttpMethod.Patch, $"/v1/sessions/{session}", $$"""{"metadata":{"a":"{{Prompt}}"},"title":"{{Prompt}}"}""");
        await PostAsync($"/v1/sessions/{session}/messages", $$"""{"role":"user","content":"{{Prompt}}"}""");
        await PostAsync("/v1/conversations", $$"""{"items":[{"type":"message","role":"user","content":"{{Prompt}}"}]}""");
        foreach (var path in new[] { $"/v1/sessions?after={Prompt}", $"/v1/sessions?api_key={key}&q={Prompt}", $"/v1/chat/completions?metadata[a]={Prompt}&after={Prompt}", $"/v1/conversations?after={Prompt}", $"/nothing?key={key}&q={Prompt}", $"/v1/sessions/{session}/messages?branch={Prompt}", $"/v1/responses/resp_1?starting_after={Prompt}" })
        {
            await SendAsync(HttpMethod.Get, path);
        }

        // Keys where they do not belong, and wrong ones.
        await SendAsync(HttpMethod.Get, "/v1/sessions", headers: [("x-api-key", key), ("Cookie", $"key={key}; p={Prompt}"), ("X-Session-Id", Prompt), ("traceparent", Prompt), ("baggage", $"key={key}"), ("tracestate", $"a={Prompt}"), ("Referer", $"http://x/?{key}")]);
        foreach (var authorization in new[] { $"Bearer {WrongKey}", $"Basic {WrongKey}", WrongKey, $"Bearer {key}x", $"Bearer {key[..^1]}0", $"Bearer {Prompt}", $"Bearer {RunningSystem.AdminKey}" })
        {
            using var wrong = new HttpRequestMessage(HttpMethod.Post, ChatRequests.Completions) { Content = RunningSystem.Json(whole) };
            wrong.Headers.TryAddWithoutValidation("Authorization", authorization);
            using var refused = await system.Client.SendAsync(wrong);
            Assert.True(refused.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, $"{authorization}: {refused.StatusCode}");
            Assert.DoesNotContain("kanarie", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            count++;
        }

        return count;
    }

    private static async Task<int> WhileStorageIsDownAsync(RunningSystem system, HttpClient client)
    {
        await system.Storage.KillAsync();
        (HttpMethod, string, string?)[] asked =
        [
            (HttpMethod.Post, ChatRequests.Completions, ChatRequests.Body(Prompt, stream: false)),
            (HttpMethod.Post, "/v1/conversations", $$"""{"items":[{"type":"message","role":"user","content":"{{Prompt}}"}]}"""),
            (HttpMethod.Get, $"/v1/sessions/{Uri.EscapeDataString($"x\n{Forged}\r\n")}", null),
            (HttpMethod.Get, $"/v1/sessions?q={Prompt}", null),
        ];
        foreach (var (method, path, body) in asked)
        {
            var answer = await client.SendJsonAsync(method, path, body);
            Assert.True((int)answer.Status >= 500, answer.Text);
        }

        await system.Storage.RestartAsync();
        await system.WaitUntilHealthyAsync();
        return asked.Length;
    }

    private static bool Holds(byte[] bytes, string text) => bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0;

    private static string Around(byte[] bytes, string text)
    {
        var at = bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text));
        var from = Math.Max(0, at - 200);
        return Encoding.UTF8.GetString(bytes.AsSpan(from, Math.Min(bytes.Length - from, 300)));
    }

    private static byte[] ReadAll(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
