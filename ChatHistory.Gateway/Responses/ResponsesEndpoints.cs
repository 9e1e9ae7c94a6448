using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Context;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Runs;

namespace ChatHistory.Gateway.Responses;

/// <summary>OpenAI's Responses: every turn is one, whatever dialect it came in.</summary>
internal static class ResponsesEndpoints
{
    public static IEndpointRouteBuilder MapResponses(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/responses").WithTags("Responses");
        group.MapPost("", (HttpContext context, ResponseTurns turns) => turns.CreateAsync(context))
            .NeedsPlace(AdmissionKind.Turn)
            .WithName("CreateResponse").WithSummary("Ask the model, as OpenAI's Responses do, and keep it.")
            .WithDescription(
                "previous_response_id continues (or branches) the session of that response, conversation the one with that id; with neither, the input is taken "
                + "for a transcript. Members that are not OpenAI's reach the model server unchanged. Tools are function tools only.")
            .Accepts<ResponseBody>("application/json")
            .Produces<JsonObject>(StatusCodes.Status200OK, "application/json", "text/event-stream");
        group.MapGet("{response_id}", GetAsync)
            .WithName("GetResponse").WithSummary("Read a response, or its events: ?stream=true, behind ?starting_after=.")
            .Produces<JsonObject>(StatusCodes.Status200OK, "application/json", "text/event-stream");
        group.MapDelete("{response_id}", DeleteAsync)
            .WithName("DeleteResponse").WithSummary("Delete a response. What followed it follows the message before it.")
            .Produces<JsonObject>();
        group.MapPost("{response_id}/cancel", CancelAsync)
            .WithName("CancelResponse").WithSummary("Stop a background response and keep what it has.")
            .Produces<JsonObject>();
        group.MapGet("{response_id}/input_items", ListInputAsync)
            .WithName("ListInputItems").WithSummary("Read the items that a response was made of, newest first.")
            .Produces<JsonObject>();
        group.MapPost("input_tokens", CountAsync)
            .WithName("CountInputTokens").WithSummary("Count the tokens of a prompt without answering it.")
            .Accepts<ResponseBody>("application/json").Produces<JsonObject>();
        return routes;
    }

    private static async Task GetAsync(
        string response_id, HttpContext context, StoredResponses responses, ResponseReplay replay, bool stream = false, string? starting_after = null)
    {
        var scope = Caller.From(context.User).Scope;
        if (stream)
        {
            await replay.ResumeAsync(context, scope, response_id, StartingAfter(starting_after));
            return;
        }

        await context.SendAsync(ResponseObject.Of(await responses.GetAsync(scope, response_id, context.RequestAborted)));
    }

    private static async Task DeleteAsync(string response_id, HttpContext context, StoredResponses responses, RunRegistry runs)
    {
        var scope = Caller.From(context.User).Scope;
        var answer = await responses.GetAsync(scope, response_id, context.RequestAborted);
        if (runs.Find(answer.MessageId, scope) is { } run)
        {
            run.Stop(RelayResult.StopAsked);
            await run.Ended.WaitAsync(context.RequestAborted);
        }

        await responses.DeleteAsync(scope, answer.MessageId, context.RequestAborted);
        await context.SendAsync(new JsonObject { ["id"] = response_id, ["object"] = "response.deleted", ["deleted"] = true });
    }

    private static async Task CancelAsync(string response_id, HttpContext context, StoredResponses responses, RunRegistry runs)
    {
        var scope = Caller.From(context.User).Scope;
        var answer = await responses.GetAsync(scope, response_id, context.RequestAborted);
        if (ResponseHead.Of(answer).Request["background"]?.GetValueKind() != JsonValueKind.True)
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest(
                "Only a background response can be cancelled. Whoever waits for another one cancels it by closing the connection.", "response_id"));
        }

        // A response that is over is given as it ended, however often it is cancelled.
        if (runs.Find(answer.MessageId, scope) is { } run)
        {
            run.Stop(RelayResult.StopAsked);
            await run.Ended.WaitAsync(context.RequestAborted);
            answer = await responses.GetAsync(scope, response_id, context.RequestAborted);
        }

        await context.SendAsync(ResponseObject.Of(answer));
    }

    private static async Task<IResult> ListInputAsync(
        string response_id, HttpContext context, StoredResponses responses, string? limit = null, string? after = null, string? order = null)
    {
        var page = ItemPage.Read(context.Request);
        var scope = Caller.From(context.User).Scope;
        var answer = await responses.GetAsync(scope, response_id, context.RequestAborted);
        return page.Of(await responses.ReadInputAsync(scope, answer, context.RequestAborted));
    }

    private static async Task CountAsync(HttpContext context, ResponseTurns turns, TokenCounter counter)
    {
        var body = await turns.ComposeAsync(context);
        var (count, refusal) = await counter.AskChatAsync(body, context.RequestAborted);
        var tokens = count
            ?? throw new OpenAIErrorException(refusal ?? new OpenAIError(
                StatusCodes.Status501NotImplemented, ErrorTypes.Server, "cannot_count_tokens", "The model server does not count tokens: it has no /tokenize as vLLM has it."));
        await context.SendAsync(new JsonObject { ["object"] = "response.input_tokens", ["input_tokens"] = tokens });
    }

    private static long StartingAfter(string? text) => text switch
    {
        null or "" => -1,
        _ when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
        _ => throw new OpenAIErrorException(OpenAIError.InvalidRequest($"starting_after is '{text}'; it must be the sequence_number of an event.", "starting_after")),
    };
}

/// <summary>The body, for the OpenAPI document; it is read by <see cref="ResponseRequest"/>.</summary>
internal sealed record ResponseBody(
    [property: JsonPropertyName("input"), Description("A text, or items.")] JsonNode Input,
    [property: JsonPropertyName("model")] string? Model = null,
    [property: JsonPropertyName("instructions"), Description("Stand before the whole prompt of this turn; they are not stored and do not carry over.")] string? Instructions = null,
    [property: JsonPropertyName("previous_response_id"), Description("The response that this one continues.")] string? PreviousResponseId = null,
    [property: JsonPropertyName("conversation"), Description("The conversation that this one continues: its id, or {\"id\"}. Excludes previous_response_id.")] JsonNode? Conversation = null,
    [property: JsonPropertyName("stream")] bool? Stream = null,
    [property: JsonPropertyName("background"), Description("true: answer at once with the id, and make the response meanwhile.")] bool? Background = null,
    [property: JsonPropertyName("store"), Description("false: keep nothing of this turn.")] bool? Store = null,
    [property: JsonPropertyName("tools")] JsonArray? Tools = null,
    [property: JsonPropertyName("text")] JsonObject? Text = null,
    [property: JsonPropertyName("metadata")] JsonObject? Metadata = null);
