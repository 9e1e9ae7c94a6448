using System.Buffers.Binary;
using System.Collections.Concurrent;
using ChatHistory.Storage.V1;
using ChatHistory.Tests.Processes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace ChatHistory.Tests.Gateway.Paths;

/// <summary>Stands between a gateway and storage's endpoint for the writes of turns, passes everything on, and keeps what storage said about each turn that began.</summary>
internal sealed class StorageTap : IAsyncDisposable
{
    private readonly HttpClient _storage;
    private readonly WebApplication _app;

    private StorageTap(WebApplication app, Uri storage)
    {
        _app = app;
        _storage = new HttpClient { BaseAddress = storage };
    }

    public Uri Address => new(_app.Urls.Single());

    /// <summary>In their order.</summary>
    public ConcurrentQueue<TurnBegun> Begun { get; } = new();

    public static async Task<StorageTap> StartAsync(Uri storage)
    {
        var app = LoopbackServer.NewBuilder().Build();
        var tap = new StorageTap(app, storage);
        app.Run(tap.PassOnAsync);
        await app.StartAsync();
        return tap;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.EndAsync();
        _storage.Dispose();
    }

    private async Task PassOnAsync(HttpContext context)
    {
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), context.Request.Path);
        if (HttpMethods.IsPost(context.Request.Method))
        {
            request.Content = new StreamContent(context.Request.Body);
        }

        foreach (var header in context.Request.Headers.Where(header => header.Key is not ("Host" or "Transfer-Encoding")))
        {
            _ = request.Headers.TryAddWithoutValidation(header.Key, header.Value.ToArray()) || request.Content?.Headers.TryAddWithoutValidation(header.Key, header.Value.ToArray()) == true;
        }

        using var response = await _storage.SendAsync(request, context.RequestAborted);
        var body = await response.Content.ReadAsByteArrayAsync(context.RequestAborted);
        if (context.Request.Path.Value!.EndsWith("/Write", StringComparison.Ordinal))
        {
            Keep(body);
        }

        context.Response.StatusCode = (int)response.StatusCode;
        context.Response.ContentType = response.Content.Headers.ContentType?.ToString();
        foreach (var header in response.Headers.Where(header => header.Key.StartsWith("grpc-", StringComparison.OrdinalIgnoreCase)))
        {
            context.Response.Headers.Append(header.Key, header.Value.ToArray());
        }

        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    // gRPC-Web: a byte that says what it is (0: a message), four of length, and then that much.
    private void Keep(ReadOnlySpan<byte> body)
    {
        while (body.Length >= 5 && body[0] == 0)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(body[1..]);
            foreach (var result in WriteReply.Parser.ParseFrom(body.Slice(5, length)).Results.Where(result => result.TurnBegun is not null))
            {
                Begun.Enqueue(result.TurnBegun);
            }

            body = body[(5 + length)..];
        }
    }
}
