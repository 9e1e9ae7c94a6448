using System.ComponentModel;
using System.Security.Claims;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.ChatCompletions;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.Upstream;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Context;

/// <summary>Shows what a model would be sent: the same way as a turn goes, without the turn.</summary>
internal static class ContextPreviewEndpoints
{
    public static IEndpointRouteBuilder MapContextPreview(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/sessions/{session_id}/context/preview", PreviewAsync).WithTags("Sessions").WithName("PreviewContext")
            .WithSummary("Show the prompt that a turn would send to the model.")
            .WithDescription("The body is that of a chat completion; messages may be absent. Nothing is stored, and the model is not asked.")
            .Accepts<ContextPreviewBody>("application/json")
            .Produces<ContextPreview>()
            .Produces<ErrorEnvelope>(StatusCodes.Status400BadRequest)
            .Produces<ErrorEnvelope>(StatusCodes.Status404NotFound)
            .Produces<ErrorEnvelope>(StatusCodes.Status503ServiceUnavailable);
        return routes;
    }

    private static async Task<IResult> PreviewAsync(
        string session_id, HttpRequest request, ClaimsPrincipal user, SessionsClient sessions, PromptBuilder builder, MediaPolicy media, TokenCounter counter,
        IOptions<VllmOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        using var completion = ChatCompletionRequest.From(await JsonBody.ReadAsync(request, cancellationToken), mayBeEmpty: true);
        // Whoever counts the tokens of an image fetches it.
        media.Check(completion.Root);
        var transcript = await sessions.GetTranscriptAsync(
            new GetTranscriptRequest { Scope = Caller.From(user).Scope, SessionId = session_id }, deadline: time.Deadline(), cancellationToken: cancellationToken);

        var prompt = await builder.BuildAsync(
            completion, new StoredHistory(transcript.Messages, transcript.Omitted, transcript.HasKnownTokens ? transcript.KnownTokens : null), cacheSalt: null, cancellationToken);
        using var body = JsonDocument.Parse(prompt.Body);
        var preview = new ContextPreview(
            completion.Model ?? options.Value.Model,
            body.RootElement.TryGetProperty("messages", out var messages) ? messages.Clone() : JsonElement.Parse("[]"),
            await counter.CountChatAsync(prompt.Body, cancellationToken),
            await counter.WindowOfAsync(completion.Model, cancellationToken),
            prompt.Omitted,
            [.. prompt.Fixes.Select(fix => new ContextFix(fix.Kind.ToWire(), fix.ToolCallId))]);
        return Results.Json(preview, ContextJsonContext.Wire.ContextPreview);
    }
}

/// <summary>The body, for the OpenAPI document.</summary>
internal sealed record ContextPreviewBody(
    [property: JsonPropertyName("messages"), Description("The new messages; absent or empty shows the history alone.")] JsonArray? Messages = null,
    [property: JsonPropertyName("model")] string? Model = null,
    [property: JsonPropertyName("tools")] JsonArray? Tools = null,
    [property: JsonPropertyName("max_completion_tokens"), Description("Room that the answer needs.")] int? MaxCompletionTokens = null);

internal sealed record ContextPreview(
    [property: JsonPropertyName("model")] string? Model,
    [property: JsonPropertyName("messages"), Description("The exact prompt.")] JsonElement Messages,
    [property: JsonPropertyName("prompt_tokens"), Description("Counted by the model server; null when it cannot count.")] int? PromptTokens,
    [property: JsonPropertyName("max_model_len"), Description("The window: prompt and answer together; null when it is not known.")] int? MaxModelLen,
    [property: JsonPropertyName("omitted_messages"), Description("How many stored messages do not fit; instructions are never left out.")] int OmittedMessages,
    [property: JsonPropertyName("repaired")] IReadOnlyList<ContextFix> Repaired)
{
    [JsonPropertyName("object"), JsonPropertyOrder(-1)]
    public string Object { get; } = "context.preview";
}

/// <param name="Kind">missing_result | orphan_result | duplicate_result | moved_result | unnamed_result | incomplete_call | unreadable_call | unreadable_arguments | unreadable_content | refused_media</param>
internal sealed record ContextFix(
    [property: JsonPropertyName("kind")] string Kind,
    [property: JsonPropertyName("tool_call_id")] string? ToolCallId);
