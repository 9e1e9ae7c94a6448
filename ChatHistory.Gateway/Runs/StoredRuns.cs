using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Runs;

/// <summary>What storage keeps of a run: the answer, and for a day the frames of its stream.</summary>
internal sealed class StoredRuns(TurnsClient turns, MessagesClient messages, TimeProvider time)
{
    /// <summary>The answer.</summary>
    /// <exception cref="Grpc.Core.RpcException">NOT_FOUND: there is none, or not in the scope.</exception>
    public async Task<Message> FindAsync(Scope scope, string messageId, CancellationToken cancellationToken) =>
        await messages.GetAsync(new GetMessageRequest { Scope = scope, MessageId = messageId }, deadline: time.Deadline(), cancellationToken: cancellationToken);

    /// <summary>The answer and its alternatives.</summary>
    public async Task<IReadOnlyList<Message>> FindChoicesAsync(Scope scope, string messageId, CancellationToken cancellationToken) =>
        (await messages.ListChoicesAsync(
            new ListChoicesRequest { Scope = scope, MessageId = messageId }, deadline: time.Deadline(), cancellationToken: cancellationToken)).Messages;

    /// <summary>The frames above a number, and how the answer stands at that moment.</summary>
    public async Task<StoredFrames> ReadAsync(Scope scope, string messageId, long after, CancellationToken cancellationToken)
    {
        var request = new ReadFramesRequest { Scope = scope, MessageId = messageId, After = after };
        var reply = await turns.ReadFramesAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return new StoredFrames([.. reply.Frames.SelectMany(FramePack.Unpack).Where(frame => frame.Number > after)], reply.Status, reply.Error);
    }

    /// <summary>All frames of an answer that is over; one that is made of the message when they are not kept.</summary>
    public async Task<StoredFrames> ReadWholeAsync(Scope scope, string messageId, CancellationToken cancellationToken)
    {
        var stored = await ReadAsync(scope, messageId, after: 0, cancellationToken);
        return stored.Frames.Count > 0
            ? stored
            : stored with { Frames = [(1, ChatChunk.Of(await FindAsync(scope, messageId, cancellationToken)))] };
    }
}

/// <param name="Frames">In their order, with their numbers.</param>
/// <param name="Status">When it is not in progress, no frame follows.</param>
/// <param name="Error">Why it failed, was cancelled or was interrupted.</param>
internal sealed record StoredFrames(IReadOnlyList<(long Number, byte[] Frame)> Frames, TurnStatus Status, TurnError? Error)
{
    /// <summary>What a reader of the stream is told in place of an end; null when the answer has one.</summary>
    public OpenAIError? Failure => Status is TurnStatus.Failed or TurnStatus.Interrupted
        ? new OpenAIError(StatusCodes.Status502BadGateway, ErrorTypes.Server, Error?.Code is { Length: > 0 } code ? code : "interrupted",
            Error?.Message is { Length: > 0 } message ? message : "The answer was interrupted: a process was stopped while it was being written.")
        : null;
}
