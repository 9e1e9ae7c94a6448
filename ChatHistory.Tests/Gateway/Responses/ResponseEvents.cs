using System.Net;
using System.Text.Json;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway.Responses;

/// <summary>The events of a streamed response as its client got them.</summary>
internal sealed record ResponseEvents(StreamedAnswer Stream)
{
    public IReadOnlyList<JsonElement> Data => [.. Stream.Data.Select(data => JsonElement.Parse(data))];

    public IReadOnlyList<string> Types => [.. Data.Select(data => data.GetProperty("type").GetString()!)];

    public IReadOnlyList<long> Numbers => [.. Data.Select(data => data.GetProperty("sequence_number").GetInt64())];

    /// <summary>The response in the last event.</summary>
    public JsonElement Response => Data[^1].GetProperty("response");

    public static async Task<ResponseEvents> PostAsync(HttpClient client, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/responses") { Content = RunningSystem.Json(body) };
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return await ReadAsync(response);
    }

    public static async Task<ResponseEvents> ResumeAsync(HttpClient client, string id, long? startingAfter = null)
    {
        using var response = await client.GetAsync($"/v1/responses/{id}?stream=true{(startingAfter is null ? "" : $"&starting_after={startingAfter}")}", HttpCompletionOption.ResponseHeadersRead);
        return await ReadAsync(response);
    }

    private static async Task<ResponseEvents> ReadAsync(HttpResponseMessage response)
    {
        var stream = await StreamedAnswer.ReadAsync(response);
        Assert.Equal((HttpStatusCode.OK, null), (stream.Status, stream.Cut));
        return new ResponseEvents(stream);
    }
}
