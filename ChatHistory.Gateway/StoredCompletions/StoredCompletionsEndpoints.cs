using System.Globalization;
using System.Security.Claims;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;
using Grpc.Core;

namespace ChatHistory.Gateway.StoredCompletions;

/// <summary>
/// OpenAI's stored chat completions: every answer of a stored turn, whatever dialect asked for it, under the model server's id of it.
/// </summary>
internal static class StoredCompletionsEndpoints
{
    public static IEndpointRouteBuilder MapStoredCompletions(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/chat/completions").WithTags("Stored chat completions");
        group.MapGet("", ListAsync).WithName("ListChatCompletions").WithSummary("List stored completions, oldest first.")
            .WithDescription("metadata[key]=value, as often as needed, leaves only those with these values.")
            .Produces<JsonObject>();
        group.MapGet("{completion_id}", GetAsync).WithName("GetChatCompletion").WithSummary("Read a stored completion.")
            .Produces<JsonObject>();
        group.MapPost("{completion_id}", UpdateAsync).WithName("UpdateChatCompletion").WithSummary("Replace a stored completion's metadata.")
            .Accepts<MetadataBody>("application/json").Produces<JsonObject>();
        group.MapDelete("{completion_id}", DeleteAsync).WithName("DeleteChatCompletion")
            .WithSummary("Delete a stored completion: the answer with all its choices. The question stays.")
            .Produces<JsonObject>();
        group.MapGet("{completion_id}/messages", ListMessagesAsync).WithName("ListChatCompletionMessages")
            .WithSummary("List the messages that a stored completion answered, oldest first.")
            .Produces<JsonObject>();
        return routes;
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request, ClaimsPrincipal user, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken,
        string? model = null, string? after = null, string? limit = null, string? order = null, string? user_id = null)
    {
        var caller = Caller.From(user);
        var query = new ListCompletionsRequest
        {
            Scope = caller.Scope,
            // SDKs have no way to say whose: in personal mode all are listed, unless the caller of the route asks.
            UserId = string.IsNullOrEmpty(user_id) ? "" : caller.UserNamed(user_id),
            Limit = CursorPage.LimitOf(request),
            Descending = ListOrder.IsDescending(request),
            Model = model ?? "",
        };
        foreach (var (key, value) in MetadataFilter(request.Query))
        {
            query.Metadata[key] = value;
        }

        if (!string.IsNullOrEmpty(after))
        {
            query.After = await FindAfterAsync(after, caller.Scope, messages, time, cancellationToken);
        }

        var reply = await messages.ListCompletionsAsync(query, deadline: time.Deadline(), cancellationToken: cancellationToken);
        var alternatives = reply.Alternatives.ToLookup(message => (message.CompletionId, message.SessionId, message.ParentId));
        return CursorPage.Json(
            reply.Messages,
            CompletionObject.IdOf,
            (writer, first) => CompletionObject.Write(writer, [first, .. alternatives[(first.CompletionId, first.SessionId, first.ParentId)]]),
            reply.HasMore);
    }

    private static async Task<IResult> GetAsync(
        string completion_id, ClaimsPrincipal user, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var scope = Caller.From(user).Scope;
        var first = await FindAsync(completion_id, scope, messages, time, cancellationToken);
        return await ObjectOfAsync(first, scope, messages, time, cancellationToken);
    }

    private static async Task<IResult> UpdateAsync(
        string completion_id, HttpRequest request, ClaimsPrincipal user, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var scope = Caller.From(user).Scope;
        string metadata;
        using (var body = await JsonBody.ReadAsync(request, cancellationToken))
        {
            metadata = MetadataRule.ReadRequired(body.Root);
        }

        var first = await FindAsync(completion_id, scope, messages, time, cancellationToken);
        var update = new UpdateMessageMetadataRequest { Scope = scope, MessageId = first.MessageId, Metadata = metadata };
        var updated = await messages.UpdateMetadataAsync(update, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return await ObjectOfAsync(updated, scope, messages, time, cancellationToken);
    }

    private static async Task<IResult> DeleteAsync(
        string completion_id, ClaimsPrincipal user, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var scope = Caller.From(user).Scope;
        var first = await FindAsync(completion_id, scope, messages, time, cancellationToken);
        var request = new DeleteMessageRequest { Scope = scope, MessageId = first.MessageId, AllChoices = true };
        await messages.DeleteAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(new JsonObject { ["object"] = "chat.completion.deleted", ["id"] = completion_id, ["deleted"] = true });
    }

    private static async Task<IResult> ListMessagesAsync(
        string completion_id, HttpRequest request, ClaimsPrincipal user, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken,
        string? after = null, string? limit = null, string? order = null)
    {
        var scope = Caller.From(user).Scope;
        var wanted = CursorPage.LimitOf(request);
        var descending = ListOrder.IsDescending(request);
        var last = string.IsNullOrEmpty(after) ? (int?)null : IndexOf(after, completion_id);
        var first = await FindAsync(completion_id, scope, messages, time, cancellationToken);
        if (!first.HasParentId)
        {
            return CursorPage.Json<Message>([], message => message.MessageId, (_, _) => { }, hasMore: false);
        }

        var path = new GetPathRequest { Scope = scope, MessageId = first.ParentId, Limit = wanted, Descending = descending };
        if (descending && last is { } before)
        {
            // What stands before a place is read forwards, and turned round.
            path.Descending = false;
            path.Offset = Math.Max(0, before - wanted);
            path.Limit = Math.Min(wanted, before);
        }
        else if (last is { } behind)
        {
            path.Offset = behind + 1;
        }

        if (path.Limit == 0)
        {
            return CursorPage.Json<Message>([], message => message.MessageId, (_, _) => { }, hasMore: false);
        }

        var reply = await messages.GetPathAsync(path, deadline: time.Deadline(), cancellationToken: cancellationToken);
        var start = path.Descending ? (int)reply.Total - 1 : path.Offset;
        var stored = reply.Messages.Select((message, i) => new StoredPrompt($"{completion_id}-{Text(path.Descending ? start - i : start + i)}", message.Content)).ToList();
        if (descending && !path.Descending)
        {
            stored.Reverse();
        }

        return CursorPage.Json(stored, message => message.Id, (writer, message) => message.Write(writer), descending && !path.Descending ? path.Offset > 0 : reply.HasMore);
    }

    private static async Task<Message> FindAsync(string completionId, Scope scope, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new GetMessageRequest { Scope = scope, CompletionId = completionId };
        return await messages.GetAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
    }

    private static async Task<string> FindAfterAsync(string after, Scope scope, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            return (await FindAsync(after, scope, messages, time, cancellationToken)).MessageId;
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            throw CursorPage.Unknown(after, "a stored completion");
        }
    }

    private static async Task<IResult> ObjectOfAsync(Message first, Scope scope, MessagesClient messages, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = new ListChoicesRequest { Scope = scope, MessageId = first.MessageId };
        var choices = await messages.ListChoicesAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Bytes(CompletionObject.ToJson(choices.Messages), "application/json");
    }

    /// <summary><c>?metadata[topic]=engines&amp;metadata[year]=1843</c></summary>
    private static IEnumerable<(string Key, string Value)> MetadataFilter(IQueryCollection query) =>
        query.Where(parameter => parameter.Key.StartsWith("metadata[", StringComparison.Ordinal) && parameter.Key.EndsWith(']'))
            .Select(parameter => (parameter.Key["metadata[".Length..^1], parameter.Value.ToString()));

    private static int IndexOf(string messageId, string completionId) =>
        messageId.StartsWith($"{completionId}-", StringComparison.Ordinal)
        && int.TryParse(messageId.AsSpan(completionId.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var index)
        && index < int.MaxValue
            ? index
            : throw CursorPage.Unknown(messageId, "a message of this completion");

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The body of the routes that only change metadata, for the OpenAPI document; it is read by <see cref="MetadataRule"/>.</summary>
internal sealed record MetadataBody(Dictionary<string, string>? Metadata);
