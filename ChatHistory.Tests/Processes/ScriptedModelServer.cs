using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace ChatHistory.Tests.Processes;

/// <summary>
/// A model server that answers what the test wrote, byte for byte, and when the test lets it. It takes one script per request, in order, and
/// refuses what is not scripted.
/// </summary>
internal sealed class ScriptedModelServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<Func<HttpContext, string, Task>> _scripts = new();

    private ScriptedModelServer(WebApplication app) => _app = app;

    public Uri Address => new(_app.Urls.Single());

    /// <summary>The bodies that arrived.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>Answers every request that no script waits for.</summary>
    public Func<HttpContext, string, Task>? Every { get; set; }

    public static async Task<ScriptedModelServer> StartAsync()
    {
        var builder = LoopbackServer.NewBuilder();
        // vLLM has no limit on a body's size; the gateway's is the one that counts.
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        var app = builder.Build();
        var server = new ScriptedModelServer(app);
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        return server;
    }

    /// <summary>Answers the next request by a script of the test's own.</summary>
    public void Next(Func<HttpContext, string, Task> script) => _scripts.Enqueue(script);

    /// <summary>Answers the next request with a whole body.</summary>
    public void NextBody(string body, int status = 200, string contentType = "application/json") => Next((context, _) =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        return context.Response.WriteAsync(body);
    });

    /// <summary>Answers the next request with a stream: each piece is one write and one flush.</summary>
    public void NextStream(params string[] pieces) => Next(async (context, _) =>
    {
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        foreach (var piece in pieces)
        {
            await context.Response.WriteAsync(piece);
            await context.Response.Body.FlushAsync();
        }
    });

    public ValueTask DisposeAsync() => _app.EndAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        if (context.Request.Path == "/tokenize" && _scripts.IsEmpty)
        {
            // Asked when an answer was cut off; this server cannot count, as many cannot.
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        using var reader = new StreamReader(context.Request.Body);
        var body = await reader.ReadToEndAsync();
        Requests.Enqueue(body);
        if (_scripts.TryDequeue(out var script))
        {
            await script(context, body);
        }
        else if (Every is { } every)
        {
            await every(context, body);
        }
        else
        {
            context.Response.StatusCode = StatusCodes.Status418ImATeapot;
            await context.Response.WriteAsync($"not scripted: {context.Request.Method} {context.Request.Path}");
        }
    }
}
