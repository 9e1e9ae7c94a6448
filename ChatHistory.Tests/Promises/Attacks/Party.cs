using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Promises.Attacks;

/// <summary>Somebody who may have conversations: the owner of a key, or a user of a UI for whom the UI's key speaks.</summary>
/// <param name="Name">The user.</param>
/// <param name="Client">With the key.</param>
/// <param name="Headers">By which a UI names the user.</param>
internal sealed record Party(string Name, HttpClient Client, params (string Name, string Value)[] Headers)
{
    public Task<Answer> SendAsync(HttpMethod method, string path, string? json = null, params (string Name, string Value)[] more) =>
        Client.SendJsonAsync(method, path, json, [.. Headers, .. more]);

    public async Task<Answer> DoneAsync(HttpMethod method, string path, string? json = null, params (string Name, string Value)[] more)
    {
        var answer = await SendAsync(method, path, json, more);
        Assert.True((int)answer.Status < 300, $"{Name}: {method} {path} gives {answer.Status}: {answer.Text}");
        return answer;
    }

    /// <summary>The key's public id: <c>chk_{id}_{secret}</c>. Null for the owner of a token.</summary>
    public string? KeyId => Client.DefaultRequestHeaders.Authorization!.Parameter!.Split('_') is ["chk", var id, ..] ? id : null;
}

/// <summary>What a party has, by the names under which it can be asked for. Every text in it holds <see cref="Canary"/>.</summary>
internal sealed class Belongings
{
    private Belongings(Party owner) => Owner = owner;

    public Party Owner { get; }

    /// <summary>Stands in everything that the owner wrote.</summary>
    public string Canary { get; } = $"kanarie{Guid.NewGuid():N}";

    public List<string> Sessions { get; } = [];

    public List<string> Messages { get; } = [];

    public List<string> Items { get; } = [];

    public List<string> Completions { get; } = [];

    public List<string> Responses { get; } = [];

    /// <summary>Of lists: opaque ones, and ids.</summary>
    public List<string> Cursors { get; } = [];

    public string IdempotencyKey { get; } = $"key-{Guid.NewGuid():N}";

    /// <summary>The body that was sent with it.</summary>
    public string IdempotentBody { get; private set; } = "";

    /// <summary>What the owner asked, and was answered.</summary>
    public string Transcript { get; private set; } = "";

    /// <summary>A session and the message that is being written in it; empty when there is none.</summary>
    public (string SessionId, string MessageId) Running { get; private set; }

    /// <summary>Every text that no answer to anybody else may have.</summary>
    public IEnumerable<string> Marks => [Canary, IdempotencyKey, .. Sessions, .. Messages, .. Completions];

    /// <param name="running">Whether an answer is to be under way as long as the result's <paramref name="until"/> is not cancelled.</param>
    public static async Task<Belongings> CreateAsync(Party owner, bool running, CancellationToken until)
    {
        var belongings = new Belongings(owner);
        await belongings.ChatAsync();
        await belongings.ConverseAsync();
        await belongings.RespondAsync();
        if (running)
        {
            await belongings.RunAsync(until);
        }

        var next = (await owner.DoneAsync(HttpMethod.Get, "/v1/sessions?limit=1")).Body.GetProperty("next").GetString()!;
        belongings.Cursors.AddRange([next, "conv_" + belongings.Sessions[0], belongings.Completions[0], belongings.Completions[0] + "-0", belongings.Items[0]]);
        return belongings;
    }

    private async Task ChatAsync()
    {
        IdempotentBody = ChatRequests.Body(Canary, stream: false, more: $$"""
            "store":true,"metadata":{"note":"{{Canary}}"},"user":"{{Canary}}"
            """);
        var first = await Owner.DoneAsync(HttpMethod.Post, ChatRequests.Completions, IdempotentBody, ("Idempotency-Key", IdempotencyKey));
        Transcript = $$"""{"role":"user","content":"{{Canary}}"},{{first.Body.GetProperty("choices")[0].GetProperty("message").GetRawText()}}""";
        Completions.Add(first.Body.GetProperty("id").GetString()!);
        Keep(first.SessionId, first.Headers["X-User-Message-Id"], first.Headers["X-Message-Id"]);
        Responses.Add("resp_" + first.Headers["X-Message-Id"]);
        await Owner.DoneAsync(HttpMethod.Patch, $"/v1/sessions/{first.SessionId}", $$"""{"metadata":{"of":"{{Canary}}"},"title":"{{Canary}}"}""");
        var fork = await Owner.DoneAsync(HttpMethod.Post, $"/v1/sessions/{first.SessionId}/fork", $$"""{"title":"{{Canary}}"}""");
        Sessions.Add(fork.Body.GetProperty("session_id").GetString()!);
    }

    private async Task ConverseAsync()
    {
        var conversation = await Owner.DoneAsync(HttpMethod.Post, "/v1/conversations", $$"""
            {"metadata":{"of":"{{Canary}}"},"items":[
              {"type":"message","role":"user","content":"{{Canary}}"},
              {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"{{Canary}}"}]},
              {"type":"message","role":"assistant","content":"{{Canary}}"},
              {"type":"function_call","call_id":"c","name":"f","arguments":"{\"of\":\"{{Canary}}\"}"},
              {"type":"function_call_output","call_id":"c","output":"{{Canary}}"}]}
            """);
        var id = conversation.Body.GetProperty("id").GetString()!;
        Sessions.Add(id["conv_".Length..]);
        var items = await Owner.DoneAsync(HttpMethod.Get, $"/v1/conversations/{id}/items?limit=100");
        Items.AddRange(items.Body.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString()!));
    }

    private async Task RespondAsync()
    {
        var response = await Owner.DoneAsync(HttpMethod.Post, "/v1/responses", $$"""{"metadata":{"of":"{{Canary}}"},"input":"{{Canary}}","instructions":"{{Canary}}"}""");
        Responses.Add(response.Body.GetProperty("id").GetString()!);
        Keep(response.SessionId, response.Headers["X-User-Message-Id"], response.Headers["X-Message-Id"]);
        Items.Add("msg_" + response.Headers["X-Message-Id"]);
    }

    private async Task RunAsync(CancellationToken until)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, ChatRequests.Completions)
        {
            Content = RunningSystem.Json(ChatRequests.Body(Canary, stream: true, """{"token_ms":200,"tokens":100000}""")),
        };
        foreach (var (name, value) in Owner.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var response = await Owner.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, CancellationToken.None);
        until.Register(response.Dispose);
        Running = (response.Headers.GetValues("X-Session-Id").Single(), response.Headers.GetValues("X-Message-Id").Single());
        Keep(Running.SessionId, Running.MessageId);
        // Read along, so that nothing waits for this client.
        _ = response.Content.CopyToAsync(Stream.Null, until).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private void Keep(string sessionId, params string[] messageIds)
    {
        Sessions.Add(sessionId);
        Messages.AddRange(messageIds);
    }
}
