namespace ChatHistory.Tests.Processes;

/// <summary>Chat completions as tests ask for them.</summary>
internal static class ChatRequests
{
    public const string Completions = "/v1/chat/completions";

    /// <summary>A text that no other test asks.</summary>
    public static string NewPrompt() => $"prompt {Guid.NewGuid():N}";

    /// <param name="simulator">What the simulator is asked to do, e.g. <c>{"fault":"reset"}</c>; the gateway passes it on.</param>
    /// <param name="more">More members of the body, e.g. <c>"store":false</c>.</param>
    public static string Body(string prompt, bool stream, string? simulator = null, string? more = null) =>
        $$"""{"stream":{{(stream ? "true" : "false")}},{{(simulator is null ? "" : $"\"simulator\":{simulator},")}}{{(more is null ? "" : more + ",")}}"messages":[{"role":"user","content":"{{prompt}}"}]}""";

    /// <summary>Posts a request whose answer is a stream, and reads that to its end, good or bad.</summary>
    public static async Task<StreamedAnswer> StreamAsync(this HttpClient client, string body, Action<string>? arrived = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Completions) { Content = RunningSystem.Json(body) };
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return await StreamedAnswer.ReadAsync(response, arrived);
    }

    /// <summary>The text that the simulator gives to a request, asked for without storing it.</summary>
    public static async Task<string> AnswerToAsync(this HttpClient client, string prompt, string simulator = "{}") =>
        (await client.StreamAsync(Body(prompt, stream: true, simulator, "\"store\":false"))).Content;
}
