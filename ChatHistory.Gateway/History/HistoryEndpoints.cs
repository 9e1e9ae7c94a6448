using System.Security.Claims;
using System.Text.Json;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Storage.V1;
using Grpc.Core;

namespace ChatHistory.Gateway.History;

/// <summary>A user's whole history: pages of sessions, each with all of its messages, written as storage streams them.</summary>
internal static class HistoryEndpoints
{
    // So much JSON is gathered before it is sent: a history of any size passes through a small, constant memory.
    private const int FlushAfterBytes = 64 * 1024;

    public static IEndpointRouteBuilder MapHistory(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/users/{user_id}/history", GetAsync).WithTags("History").WithName("GetHistory")
            .WithSummary("Read a user's whole history: sessions, newest activity first, with their messages.")
            .Produces<UserHistory>();
        return routes;
    }

    private static async Task GetAsync(
        string user_id, HttpContext context, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken,
        string? limit = null, string? offset = null, string? after = null)
    {
        var caller = Caller.From(user);
        var page = Page.Read(context.Request);
        // No deadline: a long history may take long to send. The client's leaving ends it.
        using var call = sessions.ReadHistory(
            new ReadHistoryRequest { Scope = caller.Scope, UserId = caller.UserInPath(user_id), Limit = page.Limit, Offset = page.Offset, After = page.After },
            cancellationToken: cancellationToken);

        // Before the first byte: an unknown user or a storage service that is down is still a status of its own.
        await call.ResponseStream.MoveNext(cancellationToken);
        var head = call.ResponseStream.Current.Page;

        context.Response.ContentType = "application/json; charset=utf-8";
        await using var writer = new Utf8JsonWriter(context.Response.BodyWriter, WireJson.Writer);
        writer.WriteStartObject();
        writer.WriteString("user_id", user_id);
        writer.WriteNumber("total", head.Total);
        writer.WriteNumber("limit", page.Limit);
        writer.WriteNumber("offset", page.Offset);
        writer.WriteBoolean("has_more", head.Next.Length > 0);
        writer.WriteString("next", head.Next.Length > 0 ? head.Next : null);
        writer.WriteStartArray("sessions");
        var inSession = false;
        await foreach (var item in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            if (item.Session is { } session)
            {
                EndSession(writer, inSession);
                inSession = true;
                BeginSession(writer, session);
            }
            else
            {
                JsonSerializer.Serialize(writer, MessageResource.From(item.Message), MessagesJsonContext.Wire.MessageResource);
            }

            if (writer.BytesPending + context.Response.BodyWriter.UnflushedBytes > FlushAfterBytes)
            {
                await writer.FlushAsync(cancellationToken);
                await context.FlushAsync();
            }
        }

        EndSession(writer, inSession);
        writer.WriteEndArray();
        writer.WriteEndObject();
        await writer.FlushAsync(cancellationToken);
    }

    // The session's own members, then its messages beside them.
    private static void BeginSession(Utf8JsonWriter writer, Session session)
    {
        writer.WriteStartObject();
        foreach (var member in JsonSerializer.SerializeToElement(SessionResource.From(session), SessionsJsonContext.Wire.SessionResource).EnumerateObject())
        {
            member.WriteTo(writer);
        }

        writer.WriteStartArray("messages");
    }

    private static void EndSession(Utf8JsonWriter writer, bool inSession)
    {
        if (inSession)
        {
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
    }
}
