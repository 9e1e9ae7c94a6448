using System.Net;
using System.Text.Json;

namespace ChatHistory.Tests.Processes;

/// <summary>Requests as tests write them: a path and literal JSON in, status and JSON out.</summary>
internal static class HttpClientExtensions
{
    public static Task<Answer> GetJsonAsync(this HttpClient client, string path) => client.SendJsonAsync(HttpMethod.Get, path);

    public static Task<Answer> PostJsonAsync(this HttpClient client, string path, string json) => client.SendJsonAsync(HttpMethod.Post, path, json);

    public static async Task<Answer> SendJsonAsync(this HttpClient client, HttpMethod method, string path, string? json = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path) { Content = json is null ? null : RunningSystem.Json(json) };
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await client.SendAsync(request);
        return await Answer.ReadAsync(response);
    }

    /// <summary>The messages of a session, oldest first.</summary>
    public static async Task<JsonElement[]> MessagesOfAsync(this HttpClient client, string sessionId)
    {
        var answer = await client.GetJsonAsync($"/v1/sessions/{sessionId}/messages?limit=1000");
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        return [.. answer.Body.GetProperty("messages").EnumerateArray()];
    }
}

/// <summary>A response that was read to its end.</summary>
internal sealed record Answer(HttpStatusCode Status, string Text, Dictionary<string, string> Headers)
{
    public JsonElement Body => JsonElement.Parse(Text);

    public string SessionId => Headers["X-Session-Id"];

    public string? ErrorCode => Error("code");

    public string? ErrorType => Error("type");

    public string? ErrorMessage => Error("message");

    public static async Task<Answer> ReadAsync(HttpResponseMessage response) => new(
        response.StatusCode,
        await response.Content.ReadAsStringAsync(),
        response.Headers.Concat(response.Content.Headers).ToDictionary(header => header.Key, header => string.Join(",", header.Value), StringComparer.OrdinalIgnoreCase));

    private string? Error(string member) => Body.GetProperty("error").GetProperty(member).GetString();
}
