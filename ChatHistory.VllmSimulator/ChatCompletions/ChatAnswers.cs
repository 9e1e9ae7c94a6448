using System.Text;
using System.Text.Json;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Schemas;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>Puts the choices of one chat completion together. Pure: what it is asked decides everything.</summary>
internal static class ChatAnswers
{
    public static Answer[] Compose(ChatCompletionRequest request, Script script, int maxTokens)
    {
        var answers = new Answer[request.N ?? 1];
        var tools = ToolRule.Choose(request);
        for (var i = 0; i < answers.Length; i++)
        {
            var segments = new List<Segment>();
            if (WantsReasoning(request, script.Directive))
            {
                segments.Add(new(SegmentKind.Reasoning, Encoding.UTF8.GetBytes(AnswerRule.Reasoning(request.Messages))));
            }

            var seed = unchecked((script.Seed ?? request.Seed ?? 0) + i);
            if (tools.Count == 0)
            {
                segments.Add(new(SegmentKind.Content, Content(request, script.Directive, seed)));
            }

            segments.AddRange(tools.Select((tool, index) => new Segment(
                SegmentKind.ToolCall, ToolRule.Arguments(tool), tool.Name, AnswerRule.ToolCallId(request.Messages, seed, index))));
            answers[i] = Answer.Cut(segments, maxTokens, request.Stop ?? [], request.IncludeStopStrInOutput ?? false);
        }

        return answers;
    }

    private static ReadOnlyMemory<byte> Content(ChatCompletionRequest request, Directive directive, long seed)
    {
        if (Constrained(request, seed) is { } json)
        {
            return json;
        }

        ReadOnlyMemory<byte> text = Encoding.UTF8.GetBytes(directive.Text ?? AnswerRule.Text(request.Messages, seed));
        return directive.Tokens is { } tokens ? Filler.Resize(text, tokens) : text;
    }

    /// <summary>The answer of a request that asks for a form: <c>response_format</c>, or vLLM's <c>structured_outputs</c>.</summary>
    private static byte[]? Constrained(ChatCompletionRequest request, long seed) => (request.ResponseFormat, request.StructuredOutputs) switch
    {
        ({ Type: "json_schema" } format, _) => SchemaSampler.Sample(format.JsonSchema?.Schema),
        ({ Type: "json_object" }, _) => JsonSerializer.SerializeToUtf8Bytes(
            new SimulatedJsonAnswer(true, AnswerRule.Text(request.Messages, seed)), ChatCompletionsJsonContext.Wire.SimulatedJsonAnswer),
        (_, { Json: { } schema }) => SchemaSampler.Sample(schema),
        (_, { Choice: [var first, ..] }) => Encoding.UTF8.GetBytes(first),
        _ => null,
    };

    /// <summary>The directive decides; else the switches of today's chat templates, else an effort that is asked for.</summary>
    private static bool WantsReasoning(ChatCompletionRequest request, Directive directive) =>
        directive.Reasoning
        ?? (request.IsTrue("enable_thinking") || request.IsTrue("thinking") || request.ReasoningEffort is not (null or "none"));

    private static bool IsTrue(this ChatCompletionRequest request, string name) =>
        request.ChatTemplateKwargs is { ValueKind: JsonValueKind.Object } kwargs && kwargs.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True;
}
