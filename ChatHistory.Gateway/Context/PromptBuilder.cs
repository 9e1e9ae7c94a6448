using System.Runtime.InteropServices;
using System.Text.Json;
using ChatHistory.Gateway.ChatCompletions;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Turns;
using ChatHistory.Gateway.Upstream;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Context;

/// <summary>
/// Puts stored history before a request's own messages, as much of it as fits (<see cref="ContextWindow"/>), in a form that a model takes
/// (<see cref="ReplayRepair"/>). A request that brings its whole transcript is none of its business: it reaches the model as it came.
/// </summary>
internal sealed class PromptBuilder(ContextFitter fitter, MediaPolicy media, IOptions<VllmOptions> options)
{
    /// <param name="cacheSalt">See <see cref="CacheSalt"/>.</param>
    public async Task<Prompt> BuildAsync(ChatCompletionRequest request, StoredHistory history, string? cacheSalt, CancellationToken cancellationToken)
    {
        if (history.Messages.Count == 0)
        {
            return new Prompt(UpstreamBody.Compose(request, null, options.Value.Model, cacheSalt), 0, []);
        }

        // An answer that failed before its first word is kept, but says nothing to a model.
        var refused = new List<ReplayFix>();
        var stored = history.Messages
            .Where(message => message is not { Role: "assistant", Content: "", HasToolCalls: false, HasContentParts: false })
            .Select(message => media.Shown(message, refused))
            .ToArray();
        var tools = request.Root.TryGetProperty("tools", out var value) ? JsonMarshal.GetRawUtf8Value(value).Length : 0;
        var window = ContextWindow.Of(stored, request.Messages, tools);

        // The known tokens are those up to the last answer. Tools were most likely among them, but nobody knows: half of their bytes is
        // more than any tokenizer makes of a JSON schema.
        var newSize = stored.Skip(Array.FindLastIndex(stored, message => message.Role == "assistant") + 1).Concat(request.Messages).Sum(MessageSize.Of) + (tools / 2);
        var facts = new PromptFacts(request.Model, AnswerLimit(request.Root), history.Omitted, history.KnownTokens, newSize);
        var omitted = await fitter.FitAsync(window, facts, cut => Compose(cut).Body, cancellationToken);
        return Compose(omitted);

        Prompt Compose(int cut)
        {
            var (messages, fixes) = ReplayRepair.Repair(Assemble(stored, request.Messages, cut));
            return new Prompt(UpstreamBody.Compose(request, messages, options.Value.Model, cacheSalt), cut, [.. refused, .. fixes]);
        }
    }

    // Instructions of the request come first and take the place of those with which the history began: many chat templates refuse a system
    // message anywhere else, and clients that send one with every turn mean the current one.
    private static MessageContent[] Assemble(MessageContent[] stored, IReadOnlyList<MessageContent> added, int omitted)
    {
        var instructions = added.TakeWhile(ContextWindow.IsInstruction).ToArray();
        return
        [
            .. instructions.Length > 0 ? instructions : stored.TakeWhile(ContextWindow.IsInstruction),
            .. stored.SkipWhile(ContextWindow.IsInstruction).Skip(omitted),
            .. added.Skip(instructions.Length),
        ];
    }

    // OpenAI's name, and the one before it, which vLLM still takes.
    private static int? AnswerLimit(JsonElement root) => Number(root, "max_completion_tokens") ?? Number(root, "max_tokens");

    private static int? Number(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number > 0 ? number : null;
}

/// <summary>What storage has of a session before a request.</summary>
/// <param name="Omitted">How many of the messages behind the instructions the last answer was not shown.</param>
/// <param name="KnownTokens">Prompt and answer up to the last answer, as the model server counted them.</param>
internal sealed record StoredHistory(IReadOnlyList<MessageContent> Messages, int Omitted, int? KnownTokens);

/// <summary>What goes to the model.</summary>
/// <param name="Body">The whole request.</param>
/// <param name="Omitted">How many of the stored messages behind the instructions are not in it.</param>
/// <param name="Fixes">What had to be repaired.</param>
internal sealed record Prompt(ReadOnlyMemory<byte> Body, int Omitted, IReadOnlyList<ReplayFix> Fixes);
