using System.Buffers;
using System.ComponentModel;
using System.Globalization;
using System.Security.Claims;
using System.Text;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Runs;

/// <summary>Runs: what a session is answering now, its events again from any point, and an end before the end. A run's id is its answer's X-Message-Id.</summary>
internal static class RunsEndpoints
{
    private const string Route = "/v1/sessions/{session_id}/runs";

    public static IEndpointRouteBuilder MapRuns(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup(Route).WithTags("Runs");
        group.MapGet("", ListAsync).WithName("ListRuns").WithSummary("List the answers that are under way.")
            .Produces<RunList>();
        group.MapGet("{run_id}", GetAsync).WithName("GetRun").WithSummary("Read an answer and its status.")
            .Produces<MessageResource>();
        group.MapPost("{run_id}/stop", StopAsync).WithName("StopRun").WithSummary("Stop an answer and keep what it has.")
            .WithDescription("The model is stopped. Whoever is reading the answer gets a proper end. Stopping what is over already changes nothing.")
            .Produces<MessageResource>();
        group.MapGet("{run_id}/events", ReadEventsAsync).WithName("ReadRunEvents").WithSummary("Read a streamed answer again, from any event on, and follow it.")
            .WithDescription("Server-sent events, each with its number as id: the chunks of the stream as they were. starting_after=N, or the header Last-Event-ID, leaves out the first N.")
            .Produces<string>(StatusCodes.Status200OK, "text/event-stream");
        return routes;
    }

    private static async Task<IResult> ListAsync(
        string session_id, ClaimsPrincipal user, RunRegistry runs, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var scope = Caller.From(user).Scope;
        await sessions.GetAsync(new GetSessionRequest { Scope = scope, SessionId = session_id }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        var live = runs.OfSession(session_id, scope).Select(run => new RunResource(run.Turn.AnswerMessageId!, session_id, "in_progress", run.Frames.Count, run.Listeners));
        return Results.Json(new RunList([.. live]), RunsJsonContext.Wire.RunList);
    }

    private static async Task<IResult> GetAsync(string session_id, string run_id, ClaimsPrincipal user, StoredRuns stored, CancellationToken cancellationToken) =>
        ToResult(await FindAsync(session_id, run_id, Caller.From(user).Scope, stored, cancellationToken));

    private static async Task<IResult> StopAsync(
        string session_id, string run_id, ClaimsPrincipal user, RunRegistry runs, StoredRuns stored, CancellationToken cancellationToken)
    {
        var scope = Caller.From(user).Scope;
        if (runs.Find(run_id, scope) is { } run && run.Turn.SessionId == session_id)
        {
            run.Stop(RelayResult.StopAsked);
            await run.Ended.WaitAsync(cancellationToken);
        }

        var answer = await FindAsync(session_id, run_id, scope, stored, cancellationToken);
        return answer.Status != TurnStatus.InProgress
            ? ToResult(answer)
            : throw new OpenAIErrorException(new OpenAIError(
                StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "run_elsewhere",
                $"Run '{run_id}' is not under way on this gateway. If another one works on it, ask that one; if none does, it ends as interrupted within a minute.", "run_id")
            {
                ShouldRetry = false,
            });
    }

    private static async Task ReadEventsAsync(
        string session_id, string run_id, HttpContext context, RunEvents events, RunRegistry runs, StoredRuns stored,
        string? starting_after = null, string? include_usage = null)
    {
        var scope = Caller.From(context.User).Scope;
        var clientLeft = context.RequestAborted;
        var after = After(starting_after ?? context.Request.Headers["Last-Event-ID"].ToString());
        if (runs.Find(run_id, scope)?.Turn.SessionId != session_id)
        {
            await FindAsync(session_id, run_id, scope, stored, clientLeft);
        }

        var response = context.Response;
        EventStream.WriteHeaders(response);
        await context.FlushAsync();

        var observer = new CompletionObserver(choices: 1);
        await foreach (var item in events.ReadAsync(run_id, scope, after, clientLeft))
        {
            switch (item)
            {
                case { Frame: { } frame }:
                    var data = SseFrames.Data(new ReadOnlySequence<byte>(frame));
                    if (include_usage == "true" || observer.Observe(data.Span) != ChunkKind.UsageOnly)
                    {
                        WriteEvent(response, item.Number, data.Span);
                    }

                    break;
                case { Error: { } error }:
                    EventStream.WriteError(response.BodyWriter, error);
                    context.Cut(error);
                    break;
                case { IsEnd: true }:
                    WriteEvent(response, null, "[DONE]"u8);
                    break;
                default:
                    // Behind an id, a comment with a blank line of its own would be an event without data to some clients.
                    response.BodyWriter.Write(": ping\n"u8);
                    break;
            }

            await context.FlushAsync();
        }
    }

    private static void WriteEvent(HttpResponse response, long? number, ReadOnlySpan<byte> data)
    {
        if (number is { } id)
        {
            response.BodyWriter.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id: {id}\n")));
        }

        response.BodyWriter.Write("data: "u8);
        response.BodyWriter.Write(data);
        response.BodyWriter.Write("\n\n"u8);
    }

    private static long After(string text) => text switch
    {
        "" => 0,
        _ when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
        _ => throw new OpenAIErrorException(OpenAIError.InvalidRequest(
            $"starting_after is '{text}'; it must be the number of an event: a whole number, 0 or more.", "starting_after")),
    };

    private static async Task<Message> FindAsync(string sessionId, string runId, Scope scope, StoredRuns stored, CancellationToken cancellationToken)
    {
        var answer = await stored.FindAsync(scope, runId, cancellationToken);
        return answer.SessionId == sessionId && answer.Content.Role == "assistant"
            ? answer
            : throw new OpenAIErrorException(OpenAIError.MessageNotFound(runId, "run_id"));
    }

    private static IResult ToResult(Message answer) => Results.Json(MessageResource.From(answer), MessagesJsonContext.Wire.MessageResource);
}

internal sealed record RunResource(
    [property: JsonPropertyName("run_id"), Description("The message id of the answer.")] string RunId,
    [property: JsonPropertyName("session_id")] string SessionId,
    [property: JsonPropertyName("status")] string Status,
    [property: JsonPropertyName("events"), Description("How many chunks of a stream have come so far.")] int Events,
    [property: JsonPropertyName("listeners"), Description("How many requests wait for it; 0 when its client is gone.")] int Listeners);

internal sealed record RunList([property: JsonPropertyName("runs")] IReadOnlyList<RunResource> Runs);

[JsonSerializable(typeof(RunList))]
internal sealed partial class RunsJsonContext : JsonSerializerContext
{
    public static RunsJsonContext Wire { get; } = new(WireJson.Options);
}
