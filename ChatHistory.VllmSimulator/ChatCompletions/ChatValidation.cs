using System.Text.Json;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Generation;

namespace ChatHistory.VllmSimulator.ChatCompletions;

/// <summary>The refusals of vLLM's request model and of its sampling parameters, in vLLM's words and order.</summary>
internal static class ChatValidation
{
    public static VllmError? Validate(ChatCompletionRequest request, string model) => request switch
    {
        { StreamOptions: not null, Stream: not true } => VllmError.Refused("stream_options", "Stream options can only be defined when `stream=True`."),
        { TopLogprobs: < -1 } => VllmError.Refused("top_logprobs", "`top_logprobs` must be a positive value or -1."),
        { TopLogprobs: -1 or > 0, Logprobs: not true } => VllmError.Refused("top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true."),
        { ResponseFormat: { Type: "json_schema", JsonSchema: null or { Schema: null or { ValueKind: not (JsonValueKind.Object or JsonValueKind.True) } } } } =>
            VllmError.Refused("response_format", "response_format type is 'json_schema' but 'json_schema' field is not provided."),
        { ResponseFormat.Type: null or not ("text" or "json_object" or "json_schema" or "structural_tag") } =>
            VllmError.Invalid("literal_error", "body.response_format.type", "Input should be text, json_object or json_schema"),
        { Tools.Count: 0 } => VllmError.Refused("tools", "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely."),
        { Tools: { } tools } when tools.FindIndex(tool => tool.Function?.Name is null) is >= 0 and var index =>
            VllmError.Invalid("missing", $"body.tools.{index}.function.name", "Field required"),
        _ => ToolChoice(request)
            ?? ModelName.Check(request.Model, model)
            ?? (request.Messages.Count == 0 ? VllmError.BadRequest("The messages are empty: there is nothing to answer.", "messages") : null)
            ?? SamplingParameters.Validate(request.N, request.Temperature, request.TopP, request.OutputTokens, minTokens: 1),
    };

    /// <summary>Nulls in lists, which the JSON reader lets through. Comes before everything that walks the messages.</summary>
    public static VllmError? Shape(ChatCompletionRequest request) => Shape(request.Messages, request.Tools);

    public static VllmError? Shape(List<ChatMessage>? messages, List<ChatTool>? tools)
    {
        var error = NullIn(messages, "body.messages") ?? NullIn(tools, "body.tools");
        for (var i = 0; error is null && i < messages?.Count; i++)
        {
            error = NullIn(messages[i].ToolCalls, $"body.messages.{i}.tool_calls");
        }

        return error;
    }

    private static VllmError? NullIn<T>(List<T>? list, string location)
        where T : class =>
        list?.IndexOf(null!) is >= 0 and var index ? VllmError.Invalid("type_error", $"{location}.{index}", "Input should be an object") : null;

    private static VllmError? ToolChoice(ChatCompletionRequest request)
    {
        if (request.ToolChoice is not { ValueKind: not JsonValueKind.Null } choice || (choice.ValueKind is JsonValueKind.String && choice.ValueEquals("none"u8)))
        {
            return null;
        }

        if (request.Tools is not { Count: > 0 } tools)
        {
            return VllmError.Refused("tool_choice", "When using `tool_choice`, `tools` must be set.");
        }

        return choice switch
        {
            { ValueKind: JsonValueKind.String } when choice.ValueEquals("auto"u8) || choice.ValueEquals("required"u8) => null,
            { ValueKind: JsonValueKind.Object } when ToolRule.NamedTool(choice) is not { Length: > 0 } =>
                VllmError.Refused("tool_choice.function.name", "Invalid `name` in `function` in `tool_choice`!"),
            { ValueKind: JsonValueKind.Object } when tools.Any(tool => tool.Function?.Name == ToolRule.NamedTool(choice)) => null,
            { ValueKind: JsonValueKind.Object } =>
                VllmError.Refused("tool_choice", "The tool specified in `tool_choice` does not match any of the specified `tools`"),
            _ => VllmError.Refused("tool_choice", $"Invalid value for `tool_choice`: {choice}! Only named tools, \"none\", \"auto\" or \"required\" are supported."),
        };
    }
}
