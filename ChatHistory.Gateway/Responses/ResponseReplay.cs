using System.Buffers;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Runs;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Responses;

/// <summary>
/// Gives the events of a response again, behind those that the client has seen, and those that come. They are made of the run's frames
/// (<see cref="RunEvents"/>) from the first one on: only so do they get the same numbers.
/// </summary>
internal sealed class ResponseReplay(RunEvents runEvents, StoredResponses stored)
{
    private static readonly byte[] s_heartbeat = ": ping\n\n"u8.ToArray();

    public async Task ResumeAsync(HttpContext context, Scope scope, string responseId, long startingAfter)
    {
        var clientLeft = context.RequestAborted;
        var answer = await stored.GetAsync(scope, responseId, clientLeft);
        var events = ResponseStreamWriter.Start(context, ResponseHead.Of(answer), startingAfter);
        await context.FlushAsync();
        await foreach (var item in runEvents.ReadAsync(answer.MessageId, scope, after: 0, clientLeft))
        {
            switch (item)
            {
                case { Frame: { } frame }:
                    events.Add(SseFrames.Data(new ReadOnlySequence<byte>(frame)).Span);
                    break;
                case { IsEnd: true }:
                    events.End(ResponseState.Of(await stored.GetAsync(scope, responseId, clientLeft)));
                    break;
                default:
                    context.Response.BodyWriter.Write(s_heartbeat);
                    break;
            }

            await context.FlushAsync();
        }
    }
}
