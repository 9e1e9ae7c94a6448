using System.Diagnostics;
using System.Globalization;
using System.Security.Claims;
using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Messages;

/// <summary>A session's messages: read them, or save one without asking a model.</summary>
internal static class MessagesEndpoints
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    public static IEndpointRouteBuilder MapMessages(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/sessions/{session_id}/messages").WithTags("Messages");
        group.MapGet("", ListAsync).WithName("ListMessages").WithSummary("Read a session's messages, oldest first.")
            .Produces<MessageList>();
        group.MapPost("", AppendAsync).WithName("AppendMessage").WithSummary("Save a message without asking a model.")
            .Accepts<AppendMessageBody>("application/json").Produces<MessageResource>(StatusCodes.Status201Created);
        return routes;
    }

    private static async Task<IResult> ListAsync(
        string session_id, HttpRequest request, ClaimsPrincipal user, SessionsClient sessions, TimeProvider time, CancellationToken cancellationToken,
        string? limit = null, string? offset = null, string? after = null, string? order = null)
    {
        var page = Page.Read(request);
        var query = new ListMessagesRequest
        {
            Scope = Caller.From(user).Scope,
            SessionId = session_id,
            Limit = page.Limit,
            Offset = page.Offset,
            Descending = order switch
            {
                null or "asc" => false,
                "desc" => true,
                _ => throw new OpenAIErrorException(OpenAIError.InvalidRequest($"order is '{order}'; it must be asc or desc.", "order")),
            },
        };
        if (page.After.Length > 0)
        {
            query.AfterSeq = long.TryParse(page.After, NumberStyles.None, CultureInfo.InvariantCulture, out var seq)
                ? seq
                : throw new OpenAIErrorException(OpenAIError.InvalidRequest($"after is '{page.After}'; it must be the seq of a message of this session.", "after"));
        }

        var reply = await sessions.ListMessagesAsync(query, deadline: time.Deadline(), cancellationToken: cancellationToken);
        var list = new MessageList(
            [.. reply.Messages.Select(MessageResource.From)], reply.Total, SessionResource.From(reply.Session), page.Limit, page.Offset, reply.HasMore);
        return Results.Json(list, MessagesJsonContext.Wire.MessageList);
    }

    private static async Task<IResult> AppendAsync(
        string session_id, HttpRequest request, ClaimsPrincipal user, WriteBatcher storage, TimeProvider time, CancellationToken cancellationToken)
    {
        using var body = await JsonBody.ReadAsync(request, cancellationToken);
        var content = WireMessage.Parse(body.Root, "", defaultRole: null, "model", "tokens");
        if (!body.Root.TryGetProperty("content", out _))
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("content is missing: the message's text.", "content"));
        }

        var append = new AppendMessage
        {
            SessionId = session_id,
            Message = new NewMessage { MessageId = Guid.CreateVersion7(time.GetUtcNow()).ToString(), Content = content },
        };
        if (body.OptionalString("model") is { } model)
        {
            append.Model = model;
        }

        if (Tokens(body.Root) is { } tokens)
        {
            append.Tokens = tokens;
        }

        var command = new WriteCommand { Traceparent = Activity.Current?.Id ?? "", Scope = Caller.From(user).Scope, AppendMessage = append };
        var result = await storage.WriteAsync(command, s_patience);
        return result.ResultCase == WriteResult.ResultOneofCase.MessageAppended
            ? Results.Json(MessageResource.From(result.MessageAppended), MessagesJsonContext.Wire.MessageResource, statusCode: StatusCodes.Status201Created)
            : throw new OpenAIErrorException(Refused.ToError(result.Refusal, session_id));
    }

    private static int? Tokens(JsonElement body) => body.TryGetProperty("tokens", out var tokens) switch
    {
        false => null,
        true when tokens.ValueKind == JsonValueKind.Null => null,
        true when tokens.ValueKind == JsonValueKind.Number && tokens.TryGetInt32(out var count) && count >= 0 => count,
        _ => throw new OpenAIErrorException(OpenAIError.InvalidRequest("tokens must be a whole number, 0 or more.", "tokens")),
    };
}
