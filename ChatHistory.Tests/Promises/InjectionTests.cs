using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.Promises.Attacks;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>Text is text: in every parameter of every route, and it comes back as it was sent.</summary>
[Trait(Promise.Trait, "S5")]
public sealed class InjectionTests(KeyedSystem system, ITestOutputHelper output) : IClassFixture<KeyedSystem>
{
    private static readonly string[] s_corpus =
    [
        "' OR '1'='1", "'; DROP TABLE messages; --", "\" OR \"\"=\"", "1); DELETE FROM sessions; --", "' UNION SELECT hash FROM api_keys --", "x' AND 1=load_extension('evil') --", "?1", "$owner", "@p0", "%", "_", "%_%", "\\%", "[a-z]*", "* OR a:*",
        "\"unclosed", "NEAR(a b, 5)", "a AND", "^a", "(", "{a}:b", "col:term*", "$.a", "$[0]", "a\"].b", "'||(SELECT 1)||'", "/*", "*/", "--", ";", "\\", "\\'", "\\\"", "`", "${7*7}", "{{7*7}}", "#{7*7}", "%s%n%x", "{0}", "{SourceContext}", "{@Exception}",
        "a\r\nSet-Cookie: x=1", "a\nINF forged", "\r\n\r\nHTTP/1.1 200 OK", "\u2028", "\u2029", "\u202eabc", "\u0000", "a\u0000b", "\u001b[31mred", "\u0007", "\ufeffbom", "\ufffe", "\u00ad", "e\u0301", "İ", "ß", "ﬀ", "\U0001F600", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "😀😀😀😀😀😀😀😀",
        "../../etc/passwd", "..\\..\\windows", "%2e%2e%2f", "%252e%252e", "/etc/passwd\u0000.png", "file:///etc/passwd", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "]]>", "<!--", "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>",
        "null", "true", "NaN", "Infinity", "-0", "1e308", "9223372036854775808", "-1", "0x10", "[]", "{}", "{\"$ne\":null}", "__proto__", "constructor", "data: [DONE]", "\ndata: {\"error\":{}}\n\n", "event: x", "conv_", "resp_", "msg_", "fc__", "fc_x_99999999999999999999", new string('a', 5000), new string('\'', 500), " ", "\t", "",
    ];

    [Fact]
    public async Task AnyText_InAnyPlace_IsNoMoreThanText()
    {
        var promise = new Promise("S5", output);
        using var client = await system.Running.ClientOfAsync($"ada-{Guid.NewGuid():N}");
        var own = await Belongings.CreateAsync(new Party("ada", client), running: false, CancellationToken.None);
        var operations = await OpenApiOperation.ReadAllAsync(client);
        var random = new Random(promise.Seed);
        var places = operations.SelectMany(operation => PlacesOf(operation, own)).ToArray();
        var all = places.SelectMany(place => s_corpus.Select(text => (place, text))).OrderBy(_ => random.Next()).Take(Promise.Size(700, int.MaxValue)).ToArray();
        var byStatus = new SortedDictionary<int, int>();
        await Parallel.ForEachAsync(all, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (attempt, _) =>
        {
            var answer = await attempt.place.Send(client, attempt.text);
            Assert.True((int)answer.Status < 500 || answer.Status == HttpStatusCode.NotImplemented, $"{attempt.place.Name} with {JsonSerializer.Serialize(attempt.text)} gives {answer.Status}: {answer.Text}");
            Assert.DoesNotContain("SQLite", answer.Text, StringComparison.OrdinalIgnoreCase);
            Assert.False(answer.Headers.ContainsKey("Set-Cookie") || answer.Headers.ContainsKey("Access-Control-Allow-Origin"), attempt.place.Name);
            lock (byStatus)
            {
                byStatus[(int)answer.Status] = byStatus.GetValueOrDefault((int)answer.Status) + 1;
            }
        });

        var logged = system.Running.Storage.Output + system.Running.Gateway.Output;
        Assert.DoesNotContain("SqliteException", logged, StringComparison.Ordinal);
        Assert.DoesNotContain("SQLite Error", logged, StringComparison.Ordinal);
        Assert.DoesNotContain(logged.Split('\n'), line => line.StartsWith("INF forged", StringComparison.Ordinal));
        promise.Figure($"{all.Length} of {places.Length * s_corpus.Length} texts in places of {operations.Length} routes: 0 of 5xx, 0 SQL errors; {string.Join(", ", byStatus.Select(status => $"{status.Value} x {status.Key}"))}");
    }

    [Fact]
    public async Task StoredText_ComesBackAsItWasSent()
    {
        var promise = new Promise("S5", output);
        using var client = await system.Running.ClientOfAsync($"bob-{Guid.NewGuid():N}");
        var session = (await client.PostJsonAsync("/v1/sessions", "{}")).Body.GetProperty("session_id").GetString();
        var conversation = (await client.PostJsonAsync("/v1/conversations", "{}")).Body.GetProperty("id").GetString();
        var texts = s_corpus.Where(text => text.Length is > 0 and < 500).ToArray();
        foreach (var text in texts)
        {
            var json = JsonSerializer.Serialize(text);
            var message = await client.PostJsonAsync($"/v1/sessions/{session}/messages", $$"""{"content":{{json}},"role":"user","name":{{json}}}""");
            Assert.Equal(HttpStatusCode.Created, message.Status);
            var read = (await client.GetJsonAsync($"/v1/sessions/{session}/messages/{message.Body.GetProperty("message_id").GetString()}")).Body;
            Assert.Equal((text, text), (read.GetProperty("content").GetString(), read.GetProperty("name").GetString()));

            // White space alone is no title.
            var title = string.IsNullOrWhiteSpace(text) ? "x" : text;
            await client.SendJsonAsync(HttpMethod.Patch, $"/v1/sessions/{session}", $$"""{"metadata":{"a":{{json}},{{json}}:1},"title":{{JsonSerializer.Serialize(title)}}}""");
            var changed = (await client.GetJsonAsync($"/v1/sessions/{session}")).Body;
            Assert.Equal((title, text), (changed.GetProperty("title").GetString(), changed.GetProperty("metadata").GetProperty("a").GetString()));

            var updated = await client.PostJsonAsync($"/v1/conversations/{conversation}", $$"""{"metadata":{"a":{{json}}} }""");
            Assert.Equal(text, updated.Body.GetProperty("metadata").GetProperty("a").GetString());
        }

        // A filter is a value, never a pattern.
        var turn = await client.PostJsonAsync(ChatRequests.Completions, ChatRequests.Body("x", stream: false, more: "\"store\":true,\"metadata\":{\"a\":\"b%\"}"));
        foreach (var (filter, count) in new[] { ("b%", 1), ("%", 0), ("b_", 0), ("' OR 1=1 --", 0) })
        {
            var list = await client.GetJsonAsync($"/v1/chat/completions?metadata[a]={Uri.EscapeDataString(filter)}");
            Assert.Equal(count, list.Body.GetProperty("data").GetArrayLength());
        }

        Assert.Equal(HttpStatusCode.OK, turn.Status);
        promise.Figure($"{texts.Length} texts as content, name, title and metadata: all came back unchanged");
    }

    /// <summary>Every place of an operation where a caller can put a text.</summary>
    private static IEnumerable<(string Name, Func<HttpClient, string, Task<Answer>> Send)> PlacesOf(OpenApiOperation operation, Belongings own)
    {
        var body = operation.Members is null ? null : """{"messages":[{"role":"user","content":"x"}],"input":"x","role":"user","content":"x","prompt":"x"}""";
        string Path(string? parameter = null, string? text = null) => operation.PathParameters.Aggregate(operation.Path, (path, name) => path.Replace(
            $"{{{name}}}",
            // A path of dots alone is another path to every client.
            Uri.EscapeDataString(name == parameter ? text is "" or "." or ".." ? "x" : text! : Mine(name)).Replace(".", "%2E", StringComparison.Ordinal),
            StringComparison.Ordinal));

        // Not to take away what the others are tried with.
        string Mine(string name) => operation.Method == HttpMethod.Delete ? "nobodys" : name switch
        {
            "session_id" => own.Sessions[0], "conversation_id" => "conv_" + own.Sessions[0], "message_id" or "run_id" => own.Messages[1],
            "completion_id" => own.Completions[0], "response_id" => own.Responses[0], "item_id" => own.Items[0], _ => "x",
        };

        foreach (var name in operation.PathParameters)
        {
            yield return ($"{operation}, path {name}", (client, text) => client.SendJsonAsync(operation.Method, Path(name, text), body));
        }

        foreach (var name in operation.QueryParameters.Append("metadata[a]").Append("unknown"))
        {
            yield return ($"{operation}, query {name}", (client, text) => client.SendJsonAsync(operation.Method, $"{Path()}?{Uri.EscapeDataString(name)}={Uri.EscapeDataString(text)}", body));
        }

        foreach (var name in (operation.Members ?? []).Union(operation.Members is null ? [] : ["model", "title", "user", "metadata", "unknown"]))
        {
            yield return ($"{operation}, body {name}", (client, text) => client.SendJsonAsync(operation.Method, Path(), With(body!, name, JsonValue.Create(text)!)));
            yield return ($"{operation}, inside body {name}", (client, text) => client.SendJsonAsync(operation.Method, Path(), With(body!, name, new JsonObject { [text.Length == 0 ? "x" : text] = text })));
        }

        foreach (var name in new[] { "X-Session-Id", "Idempotency-Key", "Last-Event-ID", "X-OpenWebUI-Chat-Id", "X-User-Id", "traceparent", "x-stainless-retry-count", "Authorization" })
        {
            yield return ($"{operation}, header {name}", async (client, text) =>
            {
                // What no header can carry is Kestrel's to refuse.
                var value = string.Concat(text.Where(character => character is >= ' ' and <= '~').Take(4000));
                if (name != "Authorization")
                {
                    return await client.SendJsonAsync(operation.Method, Path(), body, (name, value));
                }

                using var stranger = new HttpClient { BaseAddress = client.BaseAddress };
                var answer = await stranger.SendJsonAsync(operation.Method, Path(), body, (name, $"Bearer {value}"));
                Assert.True(answer.Status == HttpStatusCode.Unauthorized || operation.Path.StartsWith("/admin", StringComparison.Ordinal), $"{operation} with Authorization: Bearer {value} gives {answer.Status}");
                return answer;
            });
        }
    }

    private static string With(string body, string name, JsonNode value)
    {
        var changed = JsonNode.Parse(body)!.AsObject();
        changed[name] = value;
        return changed.ToJsonString();
    }
}
