using System.Net;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway.UiTraffic;

/// <summary>
/// A chat UI as the gateway sees it: it keeps the tree of a chat itself and sends, each time, the whole path to the message that is to be
/// answered. What it sends is in the derived classes, in the exact form in which the UI sends it.
/// </summary>
internal abstract class SimulatedUi(HttpClient client)
{
    private readonly List<(string Role, string Content)> _path = [];

    /// <summary>The chat as the UI shows it.</summary>
    public IReadOnlyList<(string Role, string Content)> Path => _path;

    /// <summary>Where the gateway says that it keeps the last answer.</summary>
    public (string SessionId, string MessageId) Kept { get; private set; }

    /// <summary>Every session that any request was told of.</summary>
    public HashSet<string> Sessions { get; } = [];

    /// <summary>The user sends a message.</summary>
    public Task AskAsync(string text, string? simulator = null)
    {
        _path.Add(("user", text));
        return AnswerAsync(simulator);
    }

    /// <summary>The user changes an earlier message (the last but <paramref name="turnsBack"/>) and sends it again: what followed is on another branch now.</summary>
    public Task EditAsync(int turnsBack, string text)
    {
        _path.RemoveRange(_path.Count - (2 * (turnsBack + 1)), 2 * (turnsBack + 1));
        return AskAsync(text);
    }

    /// <summary>The user asks for another answer in the place of the last one.</summary>
    public Task RegenerateAsync(string simulator)
    {
        _path.RemoveAt(_path.Count - 1);
        return AnswerAsync(simulator);
    }

    /// <summary>Posts a call of the UI's own, which must be answered and not be kept.</summary>
    protected async Task TaskAsync(string body, params (string Name, string Value)[] headers)
    {
        var answer = await client.SendJsonAsync(HttpMethod.Post, ChatRequests.Completions, body, headers);
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.False(answer.Headers.ContainsKey("X-Session-Id"), "the call of the UI's own is stored");
        Assert.NotEmpty(answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!);
    }

    protected abstract (string Body, (string Name, string Value)[] Headers) Request(string? simulator);

    /// <summary>The answer as the UI keeps it, and sends it from then on.</summary>
    protected abstract string AsKept(string content);

    private async Task AnswerAsync(string? simulator)
    {
        var (body, headers) = Request(simulator);
        using var request = new HttpRequestMessage(HttpMethod.Post, ChatRequests.Completions) { Content = RunningSystem.Json(body) };
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var answer = await StreamedAnswer.ReadAsync(response);

        Assert.True(answer.IsDone, answer.Text);
        Kept = (answer.SessionId, answer.Headers["X-Message-Id"]);
        Sessions.Add(answer.SessionId);
        _path.Add(("assistant", AsKept(answer.Content)));
    }
}
