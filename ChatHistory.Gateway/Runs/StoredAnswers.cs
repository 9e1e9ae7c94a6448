using System.Buffers;
using ChatHistory.Gateway.ChatCompletions;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.StoredCompletions;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Runs;

/// <summary>Gives an answer again that is complete in storage, as it was given the first time.</summary>
internal sealed class StoredAnswers(StoredRuns stored)
{
    /// <param name="messageId">The answer.</param>
    /// <param name="request">The request that is repeated: a stream, or a whole answer.</param>
    public async Task WriteAsync(string messageId, ChatCompletionRequest request, Scope scope, IAnswerWriter writer, CancellationToken cancellationToken)
    {
        var observer = new CompletionObserver(request.Choices);
        if (request.Stream)
        {
            var frames = await stored.ReadWholeAsync(scope, messageId, cancellationToken);
            await writer.StartAsync();
            foreach (var (_, frame) in frames.Frames)
            {
                var sequence = new ReadOnlySequence<byte>(frame);
                var data = SseFrames.Data(sequence);
                writer.Write(sequence, data, observer.Observe(data.Span));
            }

            await writer.EndAsync(RelayResult.Completed, observer);
        }
        else
        {
            var body = CompletionObject.ToJson(await stored.FindChoicesAsync(scope, messageId, cancellationToken), withSession: false);
            observer.Observe(body.Span);
            await writer.SendAsync(body, observer);
        }
    }
}
