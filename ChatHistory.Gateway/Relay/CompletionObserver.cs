using System.Net;
using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Upstream;

namespace ChatHistory.Gateway.Relay;

/// <summary>
/// Watches a copy of an answer as it passes and gathers what is stored of it. Pure: no I/O, no clock. What it does not understand it ignores;
/// it never decides whether something is relayed, only what kind of thing it is.
/// </summary>
/// <param name="choices">How many choices a complete answer has (the request's <c>n</c>).</param>
internal sealed class CompletionObserver(int choices)
{
    /// <summary>A server whose chunks differ in more than their text, such as one that counts tokens in each, is read as JSON.</summary>
    private const int MaxTemplates = 8;

    private readonly SortedList<int, ChoiceAccumulator> _choices = [];
    private ChunkTemplate? _template;
    private int _templates;

    public string? CompletionId { get; private set; }

    public string? Model { get; private set; }

    /// <summary>Unix seconds, as the model server said.</summary>
    public long? Created { get; private set; }

    public int? PromptTokens { get; private set; }

    public int? CompletionTokens { get; private set; }

    /// <summary>The error that the model server reported instead of (the rest of) an answer.</summary>
    public OpenAIError? Error { get; private set; }

    /// <summary>True once every choice has its finish_reason: nothing that belongs to the answer's text follows.</summary>
    public bool Finished { get; private set; }

    /// <summary>True when every choice that was seen has its finish_reason. Fewer than asked for may come: not every server knows <c>n</c>.</summary>
    public bool Complete => _choices.Count > 0 && _choices.Values.All(choice => choice.FinishReason is not null);

    /// <summary>Chunks with something in them.</summary>
    public int Chunks { get; private set; }

    /// <summary>Of these, those before the one that finished the answer. From that one on nothing passes until the end is committed.</summary>
    public int Passed { get; private set; }

    /// <summary>The choices by index; the first is the answer, the others are alternatives.</summary>
    public ICollection<ChoiceAccumulator> Choices => _choices.Values;

    /// <summary>The choices that have no finish_reason yet; choice 0 when there is none at all.</summary>
    public IEnumerable<int> OpenChoices => _choices.Where(choice => choice.Value.FinishReason is null).Select(choice => choice.Key).DefaultIfEmpty(0);

    /// <summary>All that the model generated so far: reasoning, text and the arguments of tool calls, of every choice.</summary>
    public string GeneratedText => string.Concat(_choices.Values.Select(choice => choice.GeneratedText));

    /// <summary>Tokens that were counted because the model server did not tell them.</summary>
    public void Count(int promptTokens, int completionTokens)
    {
        PromptTokens ??= promptTokens;
        CompletionTokens ??= completionTokens;
    }

    /// <summary>Looks at the data of one frame, or at a whole body.</summary>
    public ChunkKind Observe(ReadOnlySpan<byte> data)
    {
        if (data.IsEmpty)
        {
            return ChunkKind.Other;
        }

        if (data.SequenceEqual("[DONE]"u8))
        {
            return ChunkKind.Done;
        }

        if (_template is { } template && template.TryRead(data, out var text))
        {
            _choices[template.Choice].Add(text, template.IsReasoning);
            Count();
            return ChunkKind.Content;
        }

        try
        {
            if (JsonSerializer.Deserialize(data, ChatCompletionsJsonContext.Default.ChatCompletionWire) is not { } chunk)
            {
                return ChunkKind.Other;
            }

            var kind = Observe(chunk);
            if (kind == ChunkKind.Content)
            {
                Learn(data, chunk);
            }

            return kind;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or OpenAIErrorException)
        {
            return ChunkKind.Other;
        }
    }

    /// <summary>Expects the next chunk to be like this one.</summary>
    private void Learn(ReadOnlySpan<byte> data, ChatCompletionWire chunk)
    {
        if (_templates < MaxTemplates && _template?.IsOf(data) != true && ChunkTemplate.Of(data, chunk) is { } template)
        {
            _template = template;
            _templates++;
        }
    }

    private ChunkKind Observe(ChatCompletionWire chunk)
    {
        if (chunk.Error is { ValueKind: not JsonValueKind.Null } error)
        {
            Error = UpstreamErrors.Reported(HttpStatusCode.OK, error);
            return ChunkKind.Error;
        }

        CompletionId ??= chunk.Id;
        Model ??= chunk.Model;
        Created ??= chunk.Created;
        if (chunk.Usage is { } usage)
        {
            PromptTokens = usage.PromptTokens ?? PromptTokens;
            CompletionTokens = usage.CompletionTokens ?? CompletionTokens;
        }

        if (chunk.Choices is not { Length: > 0 })
        {
            return chunk is { Choices: not null, Usage: not null } ? ChunkKind.UsageOnly : ChunkKind.Other;
        }

        foreach (var choice in chunk.Choices)
        {
            if (!_choices.TryGetValue(choice.Index, out var gathered))
            {
                _choices[choice.Index] = gathered = new ChoiceAccumulator();
            }

            gathered.Add(choice);
        }

        Finished = _choices.Count >= choices && Complete;
        Count();
        return ChunkKind.Content;
    }

    private void Count()
    {
        Chunks++;
        Passed = Finished ? Passed : Chunks;
    }
}

/// <summary>What a frame is to the relay.</summary>
internal enum ChunkKind
{
    /// <summary>A part of the answer.</summary>
    Content,

    /// <summary><c>{"choices":[],"usage":{...}}</c>: sent because usage was asked for, by the client or by the gateway.</summary>
    UsageOnly,

    /// <summary><c>{"error":{...}}</c> in the middle of a stream.</summary>
    Error,

    /// <summary><c>[DONE]</c>.</summary>
    Done,

    /// <summary>A comment, or something that is not understood; relayed all the same.</summary>
    Other,
}
