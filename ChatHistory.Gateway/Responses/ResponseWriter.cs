using System.Buffers;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Turns;

namespace ChatHistory.Gateway.Responses;

/// <summary>Gives an answer as one response object.</summary>
/// <param name="head">What is known of the response, once its turn has begun.</param>
internal sealed class ResponseWriter(HttpContext context, Func<Turn, ResponseHead> head) : IAnswerWriter
{
    private Turn? _turn;
    private ResponseHead? _head;

    public void Begun(Turn turn)
    {
        _turn = turn;
        _head = head(turn);
        TurnHeaders.Write(context.Response, turn);
    }

    public ValueTask StartAsync() => ValueTask.CompletedTask;

    public void Write(in ReadOnlySequence<byte> frame, ReadOnlyMemory<byte> data, ChunkKind kind)
    {
    }

    public ValueTask FlushAsync() => ValueTask.CompletedTask;

    public ValueTask HeartbeatAsync() => ValueTask.CompletedTask;

    public ValueTask EndAsync(RelayResult result, CompletionObserver observer) => SendAsync(ResponseAnswers.StateOf(result, observer, CompletedAt), observer);

    public ValueTask SendAsync(ReadOnlyMemory<byte> body, CompletionObserver observer)
    {
        var state = ResponseAnswers.StateOf(RelayResult.Completed, observer, CompletedAt);
        return SendAsync(state with { Usage = ResponseAnswers.UsageOf(body.Span) ?? state.Usage }, observer);
    }

    public async ValueTask FailAsync(OpenAIError error, CompletionObserver observer)
    {
        if (!context.RequestAborted.IsCancellationRequested)
        {
            await OpenAIErrors.WriteAsync(context, error);
        }
    }

    private DateTimeOffset CompletedAt => _head!.CreatedAt + _turn!.Elapsed;

    private async ValueTask SendAsync(ResponseState state, CompletionObserver observer)
    {
        var items = MessageItems.Of(_head!.AnswerMessageId, ResponseAnswers.MessageOf(observer), state.Status);
        await context.SendAsync(ResponseObject.Of(_head, state, items));
    }
}
