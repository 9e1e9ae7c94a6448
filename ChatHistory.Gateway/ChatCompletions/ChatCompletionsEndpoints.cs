using System.ComponentModel;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Turns;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>POST /v1/chat/completions.</summary>
internal static class ChatCompletionsEndpoints
{
    public static IEndpointRouteBuilder MapChatCompletions(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/chat/completions", HandleAsync)
            .NeedsPlace(AdmissionKind.Turn)
            .WithTags("Chat completions").WithName("CreateChatCompletion")
            .WithSummary("Complete a chat as OpenAI does, and keep it.")
            .WithDescription(
                "Every member of the body that is not listed reaches the model server unchanged. The answer carries X-Session-Id, X-Message-Id and "
                + "X-User-Message-Id; a body that is not streamed also has session_id.")
            .Accepts<ChatCompletionBody>("application/json")
            .Produces<JsonObject>(StatusCodes.Status200OK, "application/json", "text/event-stream")
            .Produces<ErrorEnvelope>(StatusCodes.Status400BadRequest)
            .Produces<ErrorEnvelope>(StatusCodes.Status404NotFound)
            .Produces<ErrorEnvelope>(StatusCodes.Status409Conflict)
            .Produces<ErrorEnvelope>(StatusCodes.Status503ServiceUnavailable);
        return routes;
    }

    private static async Task HandleAsync(HttpContext context, TurnRunner runner, MediaPolicy media)
    {
        var caller = Caller.From(context.User);
        using var request = await ChatTurn.ReadAsync(context, caller, media, context.RequestAborted);
        await runner.RunAsync(request, caller, new ChatAnswerWriter(context, request.Completion.UsageAsked), context.RequestAborted);
    }
}

/// <summary>The body, for the OpenAPI document; it is read by <see cref="ChatCompletionRequest"/>.</summary>
internal sealed record ChatCompletionBody(
    [property: JsonPropertyName("messages"), Description("With session_id: the new messages only; the stored history is put before them.")] JsonArray Messages,
    [property: JsonPropertyName("model")] string? Model = null,
    [property: JsonPropertyName("stream")] bool? Stream = null,
    [property: JsonPropertyName("session_id"), Description("The session to continue; the header X-Session-Id does the same. Absent: a new session begins.")] string? SessionId = null,
    [property: JsonPropertyName("user_id"), Description("Personal mode: whose session it is. With an API key it is the key's owner.")] string? UserId = null,
    [property: JsonPropertyName("user"), Description("OpenAI's name for user_id.")] string? User = null,
    [property: JsonPropertyName("store"), Description("false: keep nothing of this turn.")] bool? Store = null,
    [property: JsonPropertyName("on_disconnect"), Description("cancel (default) stops the model when the client leaves; continue finishes and stores.")] string? OnDisconnect = null,
    [property: JsonPropertyName("parent_message_id"), Description("The stored message that the new ones follow: an edit. Without messages, the message that is to be answered again: a regeneration.")] string? ParentMessageId = null,
    [property: JsonPropertyName("multitask"), Description("While the session is being answered: enqueue (default) waits, reject is a 409, branch begins at once, interrupt stops the running turn.")] string? Multitask = null,
    [property: JsonPropertyName("metadata"), Description("Up to 16 pairs of text, kept with the answer.")] JsonObject? Metadata = null);
