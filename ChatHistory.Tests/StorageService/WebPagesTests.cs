using System.Net;
using System.Net.Http.Headers;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.StorageService;

/// <summary>Storage trusts whoever reaches it, so a page in a browser on the same machine must not.</summary>
public sealed class WebPagesTests
{
    [Fact]
    public async Task PageOfAnyOrigin_IsRefused_AndAGatewayIsNot()
    {
        await using var system = await RunningSystem.StartAsync();
        using var client = new HttpClient { BaseAddress = system.Storage.Addresses[1] };

        Assert.Equal(HttpStatusCode.Forbidden, (await WriteNothingAsync(client, origin: "http://rebound.example")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await WriteNothingAsync(client, origin: null)).StatusCode);
    }

    // An empty WriteRequest as gRPC-Web: not compressed, 0 bytes long.
    private static async Task<HttpResponseMessage> WriteNothingAsync(HttpClient client, string? origin)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/chathistory.storage.v1.Turns/Write") { Content = new ByteArrayContent(new byte[5]) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc-web");
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin);
        }

        return await client.SendAsync(request);
    }
}
