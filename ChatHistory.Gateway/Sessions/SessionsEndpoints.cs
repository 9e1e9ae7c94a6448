using System.Runtime.InteropServices;
using System.Security.Claims;
using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Sessions;

/// <summary>Sessions: create, list, read, change, delete.</summary>
internal static class SessionsEndpoints
{
    private const int MaxTitleLength = 512;
    private const int MaxMetadataLength = 16 * 1024;

    public static IEndpointRouteBuilder MapSessions(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/sessions").WithTags("Sessions");
        group.MapPost("", CreateAsync).WithName("CreateSession").WithSummary("Create a session.")
            .Produces<SessionResource>(StatusCodes.Status201Created);
        group.MapGet("", ListAsync).WithName("ListSessions").WithSummary("List a user's sessions, newest activity first.")
            .Produces<SessionList>();
        group.MapGet("{session_id}", GetAsync).WithName("GetSession").WithSummary("Read a session.")
            .Produces<SessionResource>();
        group.MapPatch("{session_id}", UpdateAsync).WithName("UpdateSession").WithSummary("Change title, metadata or is_active, or continue from another message.")
            .Produces<SessionResource>();
        group.MapDelete("{session_id}", DeleteAsync).WithName("DeleteSession").WithSummary("Delete a session and its messages.")
            .Produces(StatusCodes.Status204NoContent);
        group.MapPost("{session_id}/fork", ForkAsync).WithName("ForkSession")
            .WithSummary("Begin a session that continues from a message of this one. Nothing is copied.")
            .Produces<SessionResource>(StatusCodes.Status201Created);
        return routes;
    }

    private static async Task<IResult> CreateAsync(
        CreateSessionBody body, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var caller = Caller.From(user);
        if (caller.NamesItsUser && string.IsNullOrWhiteSpace(body.UserId))
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("user_id is needed: the user whose session it is.", "user_id"));
        }

        var session = new NewSession { UserId = caller.UserNamed(body.UserId) };
        if (!string.IsNullOrWhiteSpace(body.Title))
        {
            session.Title = Title(body.Title);
        }

        if (Metadata(body.Metadata) is { } metadata)
        {
            session.Metadata = metadata;
        }

        var request = new CreateSessionRequest { Scope = caller.Scope, SessionId = Guid.CreateVersion7(time.GetUtcNow()).ToString(), Session = session };
        var created = await sessions.CreateAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(SessionResource.From(created), SessionsJsonContext.Wire.SessionResource, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken,
        string? user_id = null, string? limit = null, string? offset = null, string? after = null)
    {
        var caller = Caller.From(user);
        var page = Page.Read(request);
        var reply = await sessions.ListAsync(
            new ListSessionsRequest
            {
                Scope = caller.Scope, UserId = caller.UserNamed(user_id), Limit = page.Limit, Offset = page.Offset, After = page.After,
            },
            deadline: time.Deadline(),
            cancellationToken: cancellationToken);
        var list = new SessionList(
            [.. reply.Sessions.Select(SessionResource.From)], reply.Total, page.Limit, page.Offset, reply.Next.Length > 0, reply.Next.Length > 0 ? reply.Next : null);
        return Results.Json(list, SessionsJsonContext.Wire.SessionList);
    }

    private static async Task<IResult> GetAsync(
        string session_id, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new GetSessionRequest { Scope = Caller.From(user).Scope, SessionId = session_id };
        var session = await sessions.GetAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(SessionResource.From(session), SessionsJsonContext.Wire.SessionResource);
    }

    private static async Task<IResult> UpdateAsync(
        string session_id, UpdateSessionBody body, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new UpdateSessionRequest { Scope = Caller.From(user).Scope, SessionId = session_id };
        if (body.Title is not null)
        {
            request.Title = Title(body.Title);
        }

        if (Metadata(body.Metadata) is { } metadata)
        {
            request.Metadata = metadata;
        }

        if (body.IsActive is { } isActive)
        {
            request.IsActive = isActive;
        }

        if (body.HeadMessageId is not null)
        {
            request.HeadMessageId = body.HeadMessageId;
        }

        var session = await sessions.UpdateAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(SessionResource.From(session), SessionsJsonContext.Wire.SessionResource);
    }

    private static async Task<IResult> DeleteAsync(
        string session_id, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new DeleteSessionRequest { Scope = Caller.From(user).Scope, SessionId = session_id };
        await sessions.DeleteAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.NoContent();
    }

    private static async Task<IResult> ForkAsync(
        string session_id, ForkSessionBody? body, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new ForkSessionRequest
        {
            Scope = Caller.From(user).Scope, SessionId = session_id, NewSessionId = Guid.CreateVersion7(time.GetUtcNow()).ToString(),
        };
        if (body?.MessageId is not null)
        {
            request.MessageId = body.MessageId;
        }

        if (!string.IsNullOrWhiteSpace(body?.Title))
        {
            request.Title = Title(body.Title);
        }

        var fork = await sessions.ForkAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(SessionResource.From(fork), SessionsJsonContext.Wire.SessionResource, statusCode: StatusCodes.Status201Created);
    }

    private static string Title(string title) => title.Length <= MaxTitleLength
        ? title
        : throw new OpenAIErrorException(OpenAIError.InvalidRequest($"title has {title.Length} characters; at most {MaxTitleLength} are kept.", "title"));

    private static string? Metadata(JsonElement? metadata) => metadata switch
    {
        null or { ValueKind: JsonValueKind.Null } => null,
        { ValueKind: JsonValueKind.Object } value when JsonBody.HasHalfACharacter(JsonMarshal.GetRawUtf8Value(value)) =>
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("metadata has an escape that is half of a surrogate pair.", "metadata")),
        { ValueKind: JsonValueKind.Object } value when value.GetRawText() is { Length: <= MaxMetadataLength } text => text,
        { ValueKind: JsonValueKind.Object } => throw new OpenAIErrorException(OpenAIError.InvalidRequest($"metadata is larger than {MaxMetadataLength} characters.", "metadata")),
        _ => throw new OpenAIErrorException(OpenAIError.InvalidRequest("metadata must be a JSON object.", "metadata")),
    };
}
