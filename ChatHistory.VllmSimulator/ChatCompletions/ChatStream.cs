using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Faults;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Streaming;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>
/// Streams the choices side by side, a token each per step: the role of every choice, the tokens, the finish of each choice,
/// the usage if asked for, <c>[DONE]</c>.
/// </summary>
internal sealed class ChatStream(ChatCompletionRequest request, Script script, Answer[] answers, GenerationRun run, EventStream events, ChatChunkWriter chunks)
{
    private readonly bool _hidesReasoning = request.IncludeReasoning is false;
    private readonly bool _logprobs = request.Logprobs is true;

    /// <summary>True when the stream came to its end; false when a fault or the client ended it.</summary>
    public async ValueTask<bool> RunAsync(CancellationToken cancellationToken)
    {
        await events.StartAsync(cancellationToken);
        await run.WaitForStepAsync(0, cancellationToken);

        for (var choice = 0; choice < answers.Length; choice++)
        {
            if (!await events.SendAsync(chunks.Role(choice), cancellationToken))
            {
                return false;
            }
        }

        if (!await TokensAsync(cancellationToken))
        {
            return false;
        }

        if (request.StreamOptions is { IncludeUsage: true } && script.Fault is not FaultKind.NoUsage)
        {
            var usage = chunks.FinalUsage(answers.Sum(answer => answer.CompletionTokens), answers.Sum(answer => answer.ReasoningTokens));
            if (!await events.SendAsync(usage, cancellationToken))
            {
                return false;
            }
        }

        await events.DoneAsync(cancellationToken);
        return true;
    }

    private async ValueTask<bool> TokensAsync(CancellationToken cancellationToken)
    {
        var isEndless = script.Fault is FaultKind.Endless;
        var cursors = Array.ConvertAll(answers, answer => new TokenCursor(answer, isEndless));
        var open = cursors.Length;
        var finished = new bool[cursors.Length];
        for (var step = 0; open > 0; step++)
        {
            await run.WaitForStepAsync(step, cancellationToken);
            for (var choice = 0; choice < cursors.Length; choice++)
            {
                if (finished[choice])
                {
                    continue;
                }

                if (!await StepAsync(choice, cursors[choice], cancellationToken))
                {
                    return false;
                }

                if (cursors[choice].IsAtEnd)
                {
                    finished[choice] = true;
                    open--;
                }
            }
        }

        return true;
    }

    /// <summary>One token of one choice, and its finish if that was the last one.</summary>
    private async ValueTask<bool> StepAsync(int choice, TokenCursor cursor, CancellationToken cancellationToken)
    {
        var finish = ChatCompletionHandler.FinishReason(request, cursor.Answer);
        var carriesFinish = false;
        if (cursor.MoveNext(out var token))
        {
            run.Generated(1);
            carriesFinish = cursor.IsAtEnd && finish == Answer.Length;
            var isHidden = _hidesReasoning && token.Segment.Kind is SegmentKind.Reasoning;
            if (!isHidden || carriesFinish)
            {
                var logprobs = _logprobs && !isHidden ? ChatLogprobs.Of(token, request.TopLogprobs ?? 0) : null;
                var chunk = isHidden
                    ? chunks.Finish(choice, isToolCall: true, finish, null, cursor.Count)
                    : chunks.Token(choice, token, logprobs, carriesFinish ? finish : null, cursor.Count);
                if (!await events.SendAsync(chunk, cancellationToken))
                {
                    return false;
                }
            }
        }

        return !cursor.IsAtEnd
            || carriesFinish
            || await events.SendAsync(chunks.Finish(choice, cursor.Answer.HasToolCalls, finish, cursor.Answer.StopReason, cursor.Count), cancellationToken);
    }
}
