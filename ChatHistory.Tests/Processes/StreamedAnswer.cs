using System.Net;
using System.Text;
using System.Text.Json;

namespace ChatHistory.Tests.Processes;

/// <summary>A streamed answer as its client got it: every byte that came, and whether its end was one.</summary>
/// <param name="Cut">How the connection broke; null when the body ended as HTTP wants it.</param>
internal sealed record StreamedAnswer(HttpStatusCode Status, Dictionary<string, string> Headers, string Text, HttpIOException? Cut)
{
    public string SessionId => Headers["X-Session-Id"];

    public IReadOnlyList<string> Data => [.. DataOf(Text)];

    /// <summary>The first choice's text.</summary>
    public string Content => ContentOf(Text);

    public bool IsDone => Data is [.., "[DONE]"];

    /// <summary>The code of the error in the last frame.</summary>
    public string? ErrorCode => Data is [.., var last] ? JsonElement.Parse(last).GetProperty("error").GetProperty("code").GetString() : null;

    /// <param name="arrived">Is given all that has come, each time that something comes.</param>
    public static async Task<StreamedAnswer> ReadAsync(HttpResponseMessage response, Action<string>? arrived = null)
    {
        var headers = response.Headers.Concat(response.Content.Headers).ToDictionary(header => header.Key, header => string.Join(",", header.Value), StringComparer.OrdinalIgnoreCase);
        using var received = new MemoryStream();
        HttpIOException? cut = null;
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync();
            var buffer = new byte[16 * 1024];
            while (await body.ReadAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(60)) is var length and > 0)
            {
                received.Write(buffer.AsSpan(0, length));
                arrived?.Invoke(Encoding.UTF8.GetString(received.ToArray()));
            }
        }
        catch (HttpIOException exception)
        {
            cut = exception;
        }

        return new StreamedAnswer(response.StatusCode, headers, Encoding.UTF8.GetString(received.ToArray()), cut);
    }

    /// <summary>The values of all whole <c>data:</c> lines.</summary>
    public static IEnumerable<string> DataOf(string text) =>
        text.Split('\n')[..^1].Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line["data: ".Length..].TrimEnd('\r'));

    /// <summary>The text of the first choice in all frames that are chunks.</summary>
    public static string ContentOf(string text)
    {
        var content = new StringBuilder();
        foreach (var data in DataOf(text))
        {
            if (TryParse(data) is { ValueKind: JsonValueKind.Object } chunk
                && chunk.TryGetProperty("choices", out var choices)
                && choices.GetArrayLength() > 0
                && choices[0].GetProperty("delta").TryGetProperty("content", out var delta))
            {
                content.Append(delta.GetString());
            }
        }

        return content.ToString();
    }

    private static JsonElement? TryParse(string data)
    {
        try
        {
            return JsonElement.Parse(data);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
