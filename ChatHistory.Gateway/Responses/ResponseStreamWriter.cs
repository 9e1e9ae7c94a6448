using System.Buffers;
using System.Diagnostics;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Turns;

namespace ChatHistory.Gateway.Responses;

/// <summary>Gives an answer as the events of a response. A failure in their midst is an event, too, so the connection ends in order.</summary>
/// <param name="head">What is known of the response, once its turn has begun.</param>
/// <param name="startingAfter">The number of the last event that the client has seen; -1 for none.</param>
internal sealed class ResponseStreamWriter(HttpContext context, Func<Turn, ResponseHead> head, long startingAfter = -1) : IAnswerWriter
{
    private static readonly byte[] s_heartbeat = ": ping\n\n"u8.ToArray();

    private Turn? _turn;
    private ResponseHead? _head;
    private ResponseEventWriter? _events;

    public void Begun(Turn turn)
    {
        _turn = turn;
        _head = head(turn);
        TurnHeaders.Write(context.Response, turn);
    }

    public async ValueTask StartAsync()
    {
        _events = Start(context, _head!, startingAfter);
        await FlushAsync();
    }

    /// <summary>The headers of a stream, and the events with which a response begins.</summary>
    public static ResponseEventWriter Start(HttpContext context, ResponseHead head, long startingAfter)
    {
        EventStream.WriteHeaders(context.Response);
        var events = new ResponseEventWriter(head, context.Response.BodyWriter, startingAfter);
        events.Begin();
        return events;
    }

    public void Write(in ReadOnlySequence<byte> frame, ReadOnlyMemory<byte> data, ChunkKind kind) => _events!.Add(data.Span);

    public ValueTask FlushAsync() => context.FlushAsync();

    public async ValueTask HeartbeatAsync()
    {
        context.Response.BodyWriter.Write(s_heartbeat);
        await FlushAsync();
    }

    public async ValueTask EndAsync(RelayResult result, CompletionObserver observer)
    {
        _events!.End(ResponseAnswers.StateOf(result, observer, _head!.CreatedAt + _turn!.Elapsed));
        await FlushAsync();
    }

    public ValueTask SendAsync(ReadOnlyMemory<byte> body, CompletionObserver observer) =>
        throw new UnreachableException("A whole answer where a stream was asked for has failed.");

    public async ValueTask FailAsync(OpenAIError error, CompletionObserver observer)
    {
        if (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }

        if (_events is null)
        {
            await OpenAIErrors.WriteAsync(context, error);
            return;
        }

        _events.End(ResponseAnswers.StateOf(error, observer));
        await FlushAsync();
    }
}
