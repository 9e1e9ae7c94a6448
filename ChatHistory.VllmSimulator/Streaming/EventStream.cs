using System.Buffers;
using System.IO.Pipelines;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Faults;

namespace ChatHistory.VllmSimulator.Streaming;

/// <summary>
/// Server-sent events as vLLM writes them, one flush per event, or as the script's fault deforms them.
/// <code>
/// data: {"id":"chatcmpl-…",…}
///
/// data: [DONE]
///
/// </code>
/// </summary>
internal sealed class EventStream(HttpContext context, Script script, TimeProvider time)
{
    // Long enough for the transport to hand over what was flushed: a reset throws away whatever has not left yet.
    // This and the next wait for the operating system, so they go by its clock and not by the simulator's.
    private static readonly TimeSpan s_beforeReset = TimeSpan.FromMilliseconds(100);

    // Long enough that two writes seldom arrive as one.
    private static readonly TimeSpan s_betweenSlices = TimeSpan.FromMilliseconds(1);

    private static readonly TimeSpan s_betweenComments = TimeSpan.FromMilliseconds(50);

    private static readonly byte[] s_done = "[DONE]"u8.ToArray();

    private readonly PipeWriter _body = context.Response.BodyWriter;
    private int _sent;
    private bool _faulted;

    /// <summary>Sends the headers; at once when the first token takes a while, as uvicorn does.</summary>
    public async ValueTask StartAsync(CancellationToken cancellationToken)
    {
        // Starlette adds the charset to every text/* type.
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        if (script.TimeToFirstToken > TimeSpan.Zero || script.Fault is FaultKind.HangMidStream)
        {
            await context.Response.StartAsync(cancellationToken);
            await _body.FlushAsync(cancellationToken);
        }
    }

    /// <summary>Sends one event. False: the fault ended the stream, nothing may follow.</summary>
    public ValueTask<bool> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (script.Fault is not FaultKind.None)
        {
            return SendFaultyAsync(json, cancellationToken);
        }

        Frame(json.Span);
        var flush = _body.FlushAsync(cancellationToken);
        return flush.IsCompletedSuccessfully ? new(IsReceived(flush.Result)) : Awaited(flush);

        static async ValueTask<bool> Awaited(ValueTask<FlushResult> flush) => IsReceived(await flush);

        // Nobody reads any more. RequestAborted says so too, but a moment later.
        static bool IsReceived(FlushResult flush) => !flush.IsCompleted ? true : throw new OperationCanceledException("The client has left.");
    }

    /// <summary>Sends <c>[DONE]</c>.</summary>
    public async ValueTask DoneAsync(CancellationToken cancellationToken)
    {
        if (script.Fault is FaultKind.NoDone)
        {
            return;
        }

        // A fault that waits for more chunks than this answer has strikes here.
        _sent = Math.Max(_sent, script.FaultAfter);
        await SendAsync(s_done, cancellationToken);
    }

    private async ValueTask<bool> SendFaultyAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        if (_sent++ >= script.FaultAfter && !_faulted)
        {
            _faulted = true;
            if (!await StrikeAsync(json, cancellationToken))
            {
                return false;
            }
        }

        switch (script.Fault)
        {
            case FaultKind.Crlf:
                Write("data: "u8, json.Span, "\r\n\r\n"u8);
                break;
            case FaultKind.Comments:
                Write(": simulated comment\n\n"u8, [], []);
                Frame(json.Span);
                break;
            case FaultKind.SplitUtf8:
                await SendSlicedAsync(json, cancellationToken);
                break;
            default:
                Frame(json.Span);
                break;
        }

        await _body.FlushAsync(cancellationToken);
        return true;
    }

    /// <summary>The faults that happen once. False when they end the stream.</summary>
    private async ValueTask<bool> StrikeAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        switch (script.Fault)
        {
            case FaultKind.HangMidStream:
                await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
                return false;
            case FaultKind.CommentsForever:
                while (true)
                {
                    Write(": simulated comment\n\n"u8, [], []);
                    await _body.FlushAsync(cancellationToken);
                    await Task.Delay(s_betweenComments, time, cancellationToken);
                }

            case FaultKind.Reset:
                Write("data: "u8, json.Span[..(json.Length / 2)], []);
                await ResetAsync(context, cancellationToken);
                return false;
            case FaultKind.Close:
                return false;
            case FaultKind.ErrorChunk:
                Frame(VllmError.Internal.ToBytes().Span);
                Frame(s_done);
                await _body.FlushAsync(cancellationToken);
                return false;
            case FaultKind.InvalidJson:
                Frame(json.Span[..(json.Length / 2)]);
                await _body.FlushAsync(cancellationToken);
                return true;
            case FaultKind.HugeLine:
                WriteHugeLine(json.Span);
                return true;
            default:
                return true;
        }
    }

    /// <summary>Flushes, and closes the connection with a TCP reset: no end of the chunked body, no FIN.</summary>
    public static async ValueTask ResetAsync(HttpContext context, CancellationToken cancellationToken)
    {
        await context.Response.BodyWriter.FlushAsync(cancellationToken);
        await AbortSoonAsync(context, cancellationToken);
    }

    /// <summary>Closes the connection with a TCP reset, once what was flushed has left.</summary>
    public static async ValueTask AbortSoonAsync(HttpContext context, CancellationToken cancellationToken)
    {
        await Task.Delay(s_beforeReset, TimeProvider.System, cancellationToken);
        context.Abort();
    }

    /// <summary>
    /// Three writes per event: up to inside the field's name, up to inside a character (or the JSON), up to inside the blank line.
    /// The blank line's end goes out with the beginning of the next event.
    /// </summary>
    private async ValueTask SendSlicedAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        Write("da"u8, [], []);
        await PauseAsync();

        var cut = json.Span.IndexOfAnyInRange((byte)0xC0, (byte)0xFF) + 1;
        cut = cut > 0 ? cut : json.Length / 2;
        Write("ta: "u8, json.Span[..cut], []);
        await PauseAsync();

        Write(json.Span[cut..], "\n"u8, []);
        await PauseAsync();
        Write("\n"u8, [], []);

        async ValueTask PauseAsync()
        {
            await _body.FlushAsync(cancellationToken);
            await Task.Delay(s_betweenSlices, TimeProvider.System, cancellationToken);
        }
    }

    /// <summary>The event again, blown up by a member that every client skips.</summary>
    private void WriteHugeLine(ReadOnlySpan<byte> json)
    {
        // Only an object can take a member; [DONE] cannot.
        if (json is not [(byte)'{', .., (byte)'}'])
        {
            return;
        }

        Write("data: "u8, json[..^1], ",\"padding\":\""u8);
        for (var left = script.FaultBytes; left > 0;)
        {
            var span = _body.GetSpan();
            var length = Math.Min(span.Length, left);
            span[..length].Fill((byte)'x');
            _body.Advance(length);
            left -= length;
        }

        Write("\"}\n\n"u8, [], []);
    }

    private void Frame(ReadOnlySpan<byte> json) => Write("data: "u8, json, "\n\n"u8);

    private void Write(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<byte> third)
    {
        _body.Write(first);
        _body.Write(second);
        _body.Write(third);
    }
}
