using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Media;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Microsoft.Extensions.Options;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>Nobody makes this system knock at a door: the gateway fetches nothing, and what would make the model server fetch does not reach it.</summary>
[Trait(Promise.Trait, "S4")]
public sealed class MediaUrlTests(PersonalSystem system, ITestOutputHelper output) : IClassFixture<PersonalSystem>
{
    private const string Allowed = "images.example.org";

    /// <param name="port">Where a listener waits for a connection that must not come.</param>
    private static string[] Corpus(int port) =>
    [
        $"http://127.0.0.1:{port}/", $"http://localhost:{port}/a.png", $"http://[::1]:{port}/", $"http://[::ffff:127.0.0.1]:{port}/", $"http://2130706433:{port}/", $"http://0x7f000001:{port}/",
        $"http://0177.0.0.1:{port}/", $"http://127.1:{port}/", $"http://0:{port}/", $"http://①②⑦.⓪.⓪.①:{port}/", "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/",
        "http://169.254.169.254.nip.io/", "https://example.org/a.png", "HTTP://EXAMPLE.ORG/", "http:example.org", "http:/example.org/a", "http:///example.org/", "//example.org/a.png", "example.org/a.png", "/etc/passwd",
        $"https://{Allowed}@127.0.0.1:{port}/", $"https://{Allowed}:x@127.0.0.1/", $"https://{Allowed}\\@127.0.0.1/", $"https://127.0.0.1\\@{Allowed}/", $"https://127.0.0.1\\.{Allowed}/", $"https://{Allowed}.evil.example/",
        $"https://evil.example#@{Allowed}/", $"https://evil.example?@{Allowed}/", $"https://evil.example/{Allowed}", $"https://{Allowed}%2f@evil.example/", $"https://{Allowed}%00.evil.example/", $"https://{Allowed}\0.evil.example/",
        $" https://{Allowed}/", $"https://{Allowed} .evil.example/", $"ht\ttps://{Allowed}/", $"https://{Allowed}\n/", $"https://{Allowed}./", $"https://{Allowed}:0443/", $"https://{Allowed}:99999999999/", $"https://.{Allowed}/", $"https://xn--{Allowed}/",
        $"https://{Allowed}\u3002evil.example/", $"https://{Allowed}\uff0f@evil.example/", "file:///etc/passwd", "file://localhost/etc/passwd", "ftp://example.org/a", "gopher://127.0.0.1:6379/_FLUSHALL", "jar:http://example.org!/", "blob:https://example.org/1",
        "javascript:alert(1)", "unix:/var/run/docker.sock", "s3://bucket/key", "data :image/png;base64,AQID", "da\nta:image/png,", " data:image/png;base64,AQID", "dict://127.0.0.1:11211/", "",
    ];

    /// <summary>Places in which a request can name media; %U% is the address, as JSON.</summary>
    private static readonly (string Path, string Body)[] s_places =
    [
        .. new[] { """{"type":"image_url","image_url":{"url":%U%,"detail":"low"}}""", """{"type":"image_url","image_url":%U%}""", """{"type":"video_url","video_url":{"url":%U%}}""", """{"type":"audio_url","audio_url":{"url":%U%}}""", """{"image_url":%U%}""", """{"type":"image_url","image\u005furl":{"\u0075rl":%U%}}""", """{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID","url":%U%}}""", """{"type":"image_url","image_url":{"url":%U%,"url":"data:image/png;base64,AQID"}}""", """{"type":"image","url":%U%}""", """{"type":"file","file":{"file_url":%U%}}""", """{"type":"input_image","image_url":%U%}""" }
            .Select(part => (ChatRequests.Completions, $$"""{"messages":[{"role":"user","content":[{"type":"text","text":"look"},{{part}}]}]}""")),
        (ChatRequests.Completions, """{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":%U%}}]}],"messages":[{"role":"user","content":"look"}]}"""),
        (ChatRequests.Completions, """{"store":false,"stream":true,"messages":[{"role":"system","content":"x"},{"role":"tool","tool_call_id":"c","content":[{"type":"image_url","image_url":{"url":%U%}}]}]}"""),
        ("/v1/responses", """{"input":[{"role":"user","content":[{"type":"input_image","image_url":%U%}]}]}"""),
        ("/v1/responses", """{"input":[{"role":"user","content":[{"type":"input_image","image_url":{"url":%U%}}]}]}"""),
        ("/v1/responses", """{"background":true,"input":[{"role":"user","content":[{"type":"input_file","file_url":%U%}]}]}"""),
        ("/v1/responses", """{"input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":%U%}]}]}"""),
        ("/v1/responses/input_tokens", """{"input":[{"role":"user","content":[{"type":"input_image","image_url":%U%}]}]}"""),
        ("/v1/conversations", """{"items":[{"type":"message","role":"user","content":[{"type":"input_image","image_url":%U%}]}]}"""),
        ("/v1/conversations/%S%/items", """{"items":[{"type":"message","role":"user","content":[{"type":"input_image","image_url":%U%}]}]}"""),
        ("/v1/sessions/%S%/messages", """{"role":"user","content":[{"type":"image_url","image_url":{"url":%U%}}]}"""),
        ("/v1/sessions/%S%/context/preview", """{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":%U%}}]}]}"""),
        ("/v1/embeddings", """{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":%U%}}]}]}"""),
        ("/tokenize", """{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":%U%}}]}]}"""),
        ("/pooling", """{"messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":%U%}}]}]}"""),
        ("/score", """{"text_1":"x","text_2":{"content":[{"type":"image_url","image_url":{"url":%U%}}]}}"""),
        ("/v1/rerank", """{"query":"x","documents":{"content":[{"type":"image_url","image_url":{"url":%U%}}]}}"""),
    ];

    [Fact]
    public async Task Address_IsRefusedEverywhere_AndNothingIsFetched()
    {
        var promise = new Promise("S4", output);
        using var listener = new TcpListener(IPAddress.Any, 0);
        listener.Start();
        var corpus = Corpus(((IPEndPoint)listener.LocalEndpoint).Port);
        var session = (await system.Client.PostJsonAsync("/v1/sessions", $$"""{"user_id":"{{Guid.NewGuid():N}}"}""")).Body.GetProperty("session_id").GetString()!;
        var marker = ChatRequests.NewPrompt();
        var random = new Random(promise.Seed);
        var all = s_places.SelectMany(place => corpus.Select(url => (place.Path, place.Body, Url: url))).OrderBy(_ => random.Next()).Take(Promise.Size(300, int.MaxValue)).ToArray();
        foreach (var (path, body, url) in all)
        {
            var json = body.Replace("%U%", JsonSerializer.Serialize(url), StringComparison.Ordinal).Replace("\"look\"", $"\"{marker}\"", StringComparison.Ordinal);

            var answer = await system.Client.PostJsonAsync(path.Replace("%S%", session, StringComparison.Ordinal), json);

            Assert.True((answer.Status, answer.ErrorCode) == (HttpStatusCode.BadRequest, "media_url_not_allowed"), $"{path} {json}: {answer.Status} {answer.Text}");
            Assert.Contains("Media:AllowedHosts", answer.ErrorMessage, StringComparison.Ordinal);
        }

        Assert.Empty(await system.Simulator.RequestsWithAsync(marker));
        Assert.Equal(0, await system.Simulator.CountsWithAsync(marker));
        Assert.Empty(await system.Client.MessagesOfAsync(session));
        Assert.False(listener.Pending(), "somebody has connected");
        promise.Figure($"{all.Length} requests with {corpus.Length} addresses in {s_places.Length} places: all refused, 0 connections, nothing at the model server");
    }

    [Fact]
    public async Task Content_Passes()
    {
        var prompt = ChatRequests.NewPrompt();
        var image = """{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID"}}""";

        const string Tools = """[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"image_url":{"type":"string","default":"https://example.org"},"url":{"type":"string"}}}}}]""";
        var chat = await system.Client.PostJsonAsync(ChatRequests.Completions, $$"""{"messages":[{"role":"user","content":[{"type":"text","text":"{{prompt}} see https://example.org/a.png"},{{image}} ]}],"tools":{{Tools}} }""");
        var response = await system.Client.PostJsonAsync("/v1/responses", $$"""{"input":[{"role":"user","content":[{"type":"input_text","text":"{{prompt}}"},{"type":"input_image","image_url":"DATA:image/png;base64,AQID"}]},{"role":"assistant","content":[{"type":"output_text","text":"x","annotations":[{"type":"url_citation","url":"https://example.org"}]}]},{"role":"user","content":"go on"}]}""");
        var embedded = await system.Client.PostJsonAsync("/v1/embeddings", $$"""{"model":"{{RunningSystem.Model}}","input":"https://example.org/{{prompt}}"}""");

        Assert.All([chat, response, embedded], answer => Assert.True(answer.Status == HttpStatusCode.OK, answer.Text));
        Assert.Equal(3, (await system.Simulator.RequestsWithAsync(prompt)).Length);
    }

    [Fact]
    public async Task StoredAddress_IsKept_ButNotShownToAModel()
    {
        var answer = await system.Client.PostJsonAsync(ChatRequests.Completions, """{"messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID"}}]}]}""");
        const string Stored = """[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}]""";
        using (var database = OtherTool.Open(system.Running.DatabasePath))
        {
            Assert.Equal(1, database.Execute($"UPDATE messages SET content_parts = '{Stored}' WHERE message_id = '{answer.Headers["X-User-Message-Id"]}'"));
        }

        var prompt = ChatRequests.NewPrompt();
        var next = await system.Client.PostJsonAsync(ChatRequests.Completions, ChatRequests.Body(prompt, stream: false, more: $"\"session_id\":\"{answer.SessionId}\""));

        Assert.Equal((HttpStatusCode.OK, "1"), (next.Status, next.Headers["X-Context-Repaired"]));
        var sent = (await system.Simulator.RequestsWithAsync(prompt)).Single().GetRawText();
        Assert.DoesNotContain("169.254", sent, StringComparison.Ordinal);
        Assert.Contains(MediaPolicy.NotShown, sent, StringComparison.Ordinal);
        Assert.Equal(Stored, (await system.Client.MessagesOfAsync(answer.SessionId))[0].GetProperty("content_parts").GetRawText());
    }

    /// <summary>What passes means the allowed host to every parser at hand, however it was changed.</summary>
    [Fact]
    public void AllowedHost_IsThatHostAlone()
    {
        var promise = new Promise("S4", output);
        var policy = new MediaPolicy(Options.Create(new MediaOptions { AllowedHosts = [Allowed, "cdn.example.org:8443"] }));
        bool Passes(string url)
        {
            try
            {
                policy.Check(JsonElement.Parse(new JsonObject { ["image_url"] = url }.ToJsonString()));
                return true;
            }
            catch (OpenAIErrorException)
            {
                return false;
            }
        }

        Assert.All([$"https://{Allowed}/a.png?x=y#z", $"http://{Allowed}/", $"https://{Allowed}", $"HTTPS://IMAGES.example.org:443/@a", "https://cdn.example.org:8443/"], url => Assert.True(Passes(url), url));
        Assert.All([.. Corpus(1), "https://cdn.example.org/", $"https://{Allowed}:8443/", $"http://{Allowed}:443/"], url => Assert.False(Passes(url), url));

        var random = new Random(promise.Seed);
        string[] pieces = ["\\", "@", "/", "//", ":", "#", "?", "%", "%2f", "%40", " ", "\t", "\n", "\0", ".", "..", "[", "]", "::1", "127.0.0.1", "evil.example", Allowed, "https:", "http://", "data:", "\u3002", "\uff0f", "\u00ad", "\u2028", "é", "0x7f.1", ";", "&", "user:pass@"];
        var (tried, passed) = (Promise.Size(20_000, 2_000_000), 0);
        for (var i = 0; i < tried; i++)
        {
            var url = $"https://{Allowed}/a/b.png?c=d";
            for (var changes = random.Next(1, 5); changes > 0; changes--)
            {
                var at = random.Next(url.Length + 1);
                url = random.Next(3) switch
                {
                    0 => url.Insert(at, pieces[random.Next(pieces.Length)]),
                    1 => at < url.Length ? url.Remove(at, 1) : url,
                    _ => at < url.Length ? url.Remove(at, 1).Insert(at, ((char)random.Next(0x80)).ToString()) : url,
                };
            }

            if (!Passes(url) || MediaAddress.IsContent(url))
            {
                continue;
            }

            passed++;
            Assert.True(Uri.TryCreate(url, UriKind.Absolute, out var uri), url);
            Assert.True(uri.Host == Allowed && uri.UserInfo.Length == 0 && uri.IsDefaultPort, $"{url} is read as {uri.Host}");
            // As the WHATWG's parser would: the authority ends at the first slash, backslash, ? or #, and user information at the last @ before it.
            var authority = url[(url.IndexOf("//", StringComparison.Ordinal) + 2)..].Split('/', '\\', '?', '#')[0];
            Assert.True(authority.Split('@')[^1].Split(':')[0].Equals(Allowed, StringComparison.OrdinalIgnoreCase), url);
        }

        promise.Figure($"{tried} changed addresses, {passed} allowed: all of them the allowed host to two parsers");
    }
}
