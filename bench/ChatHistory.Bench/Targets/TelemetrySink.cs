using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace ChatHistory.Bench.Targets;

/// <summary>An OTLP receiver over gRPC that takes everything and keeps nothing but its size: so that exporting really happens.</summary>
internal sealed class TelemetrySink(WebApplication app) : IAsyncDisposable
{
    private long _calls;
    private long _bytes;

    public (long Calls, long Bytes) Received => (Interlocked.Read(ref _calls), Interlocked.Read(ref _bytes));

    /// <summary>By itself, until it is asked to stop.</summary>
    public static async Task<int> RunAsync(int port)
    {
        await using var sink = await StartAsync(port);
        await sink.WaitForShutdownAsync();
        return 0;
    }

    public static async Task<TelemetrySink> StartAsync(int port)
    {
        var builder = WebApplication.CreateSlimBuilder(Programs.WithoutWatching);
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenLocalhost(port, listen => listen.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        var sink = new TelemetrySink(app);
        app.MapPost("{**method}", sink.TakeAsync);
        await app.StartAsync();
        return sink;
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private Task WaitForShutdownAsync() => app.WaitForShutdownAsync();

    private async Task TakeAsync(HttpContext context)
    {
        while (true)
        {
            var read = await context.Request.BodyReader.ReadAsync();
            Interlocked.Add(ref _bytes, read.Buffer.Length);
            context.Request.BodyReader.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                break;
            }
        }

        Interlocked.Increment(ref _calls);
        context.Response.ContentType = "application/grpc";
        context.Response.DeclareTrailer("grpc-status");
        // An empty message: not compressed, 0 bytes long.
        await context.Response.BodyWriter.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }
}
