using System.Buffers;
using System.Text.Json;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Faults;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Streaming;
using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.Completions;

/// <summary>
/// Streams the texts side by side. There is no role chunk, and with <c>echo</c> the prompt comes with the first token:
/// <code>
/// {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":" and","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}
/// </code>
/// </summary>
internal sealed class CompletionStream(CompletionRequest request, Script script, Answer[] answers, int promptTokens, GenerationRun run, EventStream events)
{
    private readonly ArrayBufferWriter<byte> _json = new(512);
    private readonly int[] _offsets = new int[answers.Length];
    private readonly bool _includeUsage = request.StreamOptions is { IncludeUsage: true } && script.Fault is not FaultKind.NoUsage;
    private byte[] _head = [];

    /// <summary>True when the stream came to its end; false when a fault or the client ended it.</summary>
    public async ValueTask<bool> RunAsync(string id, long created, string model, CancellationToken cancellationToken)
    {
        _head = Head(id, created, model);
        await events.StartAsync(cancellationToken);

        var isEndless = script.Fault is FaultKind.Endless;
        var cursors = Array.ConvertAll(answers, answer => new TokenCursor(answer, isEndless));
        var finished = new bool[cursors.Length];
        for (var step = 0; finished.Contains(false); step++)
        {
            await run.WaitForStepAsync(step, cancellationToken);
            for (var choice = 0; choice < cursors.Length; choice++)
            {
                if (!finished[choice] && !await events.SendAsync(Chunk(choice, cursors[choice]), cancellationToken))
                {
                    return false;
                }

                finished[choice] = cursors[choice].IsAtEnd;
            }
        }

        if (_includeUsage && !await events.SendAsync(FinalUsage(), cancellationToken))
        {
            return false;
        }

        await events.DoneAsync(cancellationToken);
        return true;
    }

    private ReadOnlyMemory<byte> Chunk(int choice, TokenCursor cursor)
    {
        var isFirst = cursor.Count == 0;
        var hasToken = cursor.MoveNext(out var token);
        run.Generated(hasToken ? 1 : 0);
        ReadOnlyMemory<byte> text = hasToken ? token.Text : default;
        var echoed = isFirst && request.Echo is true ? request.Prompt.Texts[choice / (request.N ?? 1)] : [];

        _json.ResetWrittenCount();
        _json.Write(_head);
        _json.Write("{\"index\":"u8);
        _json.WriteNumber(choice);
        _json.Write(",\"text\":"u8);
        _json.WriteString(echoed.Length == 0 ? text.Span : [.. echoed, .. text.Span]);
        _json.Write(",\"logprobs\":"u8);
        _json.Write(request.Logprobs is { } alternatives && hasToken
            ? JsonSerializer.SerializeToUtf8Bytes(CompletionAnswers.Logprobs([text], alternatives, _offsets[choice]), CompletionsJsonContext.Wire.CompletionLogprobs)
            : "null"u8);
        _offsets[choice] += request.Logprobs is null ? 0 : SimulatorTokenizer.Text(text.Span).Length;
        _json.Write(",\"finish_reason\":"u8);
        _json.WriteStringOrNull(cursor.IsAtEnd ? cursor.Answer.FinishReason : null);
        _json.Write(",\"stop_reason\":"u8);
        _json.WriteStringOrNull(cursor.IsAtEnd ? cursor.Answer.StopReason : null);
        _json.Write(",\"prompt_token_ids\":null,\"token_ids\":null}]"u8);
        if (_includeUsage && request.StreamOptions is { ContinuousUsageStats: true })
        {
            _json.Write(",\"usage\":"u8);
            UsageInfo.Write(_json, promptTokens, cursor.Count, 0);
        }
        else if (cursor.IsAtEnd && !_includeUsage)
        {
            Fingerprint();
        }

        _json.Write("}"u8);
        return _json.WrittenMemory;
    }

    private ReadOnlyMemory<byte> FinalUsage()
    {
        _json.ResetWrittenCount();
        _json.Write(_head);
        _json.Write("],\"usage\":"u8);
        UsageInfo.Write(_json, promptTokens, answers.Sum(answer => answer.CompletionTokens), 0);
        Fingerprint();
        _json.Write("}"u8);
        return _json.WrittenMemory;
    }

    private void Fingerprint()
    {
        _json.Write(",\"system_fingerprint\":"u8);
        _json.WriteString(SimulatorApplication.Fingerprint);
    }

    private static byte[] Head(string id, long created, string model)
    {
        var json = new ArrayBufferWriter<byte>();
        json.Write("{\"id\":"u8);
        json.WriteString(id);
        json.Write(",\"object\":\"text_completion\",\"created\":"u8);
        json.WriteNumber(created);
        json.Write(",\"model\":"u8);
        json.WriteString(model);
        json.Write(",\"choices\":["u8);
        return json.WrittenSpan.ToArray();
    }
}
