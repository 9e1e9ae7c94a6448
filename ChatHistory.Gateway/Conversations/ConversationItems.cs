using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Sessions;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;
using Grpc.Core;

namespace ChatHistory.Gateway.Conversations;

/// <summary>Items in storage. A message is one item or several (<see cref="MessageItems"/>), so pages of items are cut out of pages of messages.</summary>
internal sealed class ConversationItems(MessagesClient messages, WriteBatcher writes, MediaPolicy media, TimeProvider time)
{
    private const int MaxItems = 20;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>Reads the member <c>items</c> of a body.</summary>
    /// <exception cref="OpenAIErrorException">There are none, too many, or one that cannot be kept.</exception>
    public async Task<IReadOnlyList<MessageContent>> ParseAsync(Scope scope, JsonElement body, bool isOptional, CancellationToken cancellationToken)
    {
        if (!body.TryGetProperty("items", out var items) || items.ValueKind == JsonValueKind.Null)
        {
            return isOptional ? [] : throw new OpenAIErrorException(OpenAIError.InvalidRequest("Missing required parameter: 'items'.", "items", "missing_required_parameter"));
        }

        if (items.ValueKind != JsonValueKind.Array)
        {
            throw Invalid("items must be an array of items.");
        }

        if (items.GetArrayLength() > MaxItems)
        {
            throw Invalid($"items has {items.GetArrayLength()} items; at most {MaxItems} can be added at once.");
        }

        media.Check(body);
        var known = new Dictionary<string, JsonObject>();
        foreach (var id in InputItems.References(items).Distinct())
        {
            if (await FindAsync(scope, sessionId: "", id, cancellationToken) is (_, { } item))
            {
                known[id] = item;
            }
        }

        return InputItems.Parse(items, "items", known);
    }

    /// <summary>Adds messages behind the conversation's head; returns their items.</summary>
    public async Task<IReadOnlyList<JsonObject>> AppendAsync(Scope scope, string sessionId, IReadOnlyList<MessageContent> contents)
    {
        var commands = contents.Select(content => new WriteCommand
        {
            Traceparent = Activity.Current?.Id ?? "",
            Scope = scope,
            AppendMessage = new AppendMessage
            {
                SessionId = sessionId,
                Message = new NewMessage { MessageId = Guid.CreateVersion7(time.GetUtcNow()).ToString(), Content = content },
            },
        });
        var items = new List<JsonObject>();
        foreach (var result in await writes.WriteAllAsync(commands, s_patience))
        {
            items.AddRange(result switch
            {
                { MessageAppended: { } message } => MessageItems.Of(message),
                { Refusal.Reason: Refusal.Types.Reason.SessionNotFound } => throw new OpenAIErrorException(OpenAIError.ConversationNotFound(ItemIds.Conversation(sessionId))),
                _ => throw new OpenAIErrorException(Refused.ToError(result.Refusal, sessionId)),
            });
        }

        return items;
    }

    /// <summary>A page of the current branch.</summary>
    public async Task<(IReadOnlyList<JsonObject> Items, bool HasMore)> ListAsync(
        Scope scope, string sessionId, int limit, bool descending, string after, CancellationToken cancellationToken)
    {
        var request = new GetPathRequest { Scope = scope, SessionId = sessionId, Limit = limit + 1, Descending = descending };
        if (after.Length > 0)
        {
            var (last, _) = await FindAsync(scope, sessionId, after, cancellationToken) ?? throw CursorPage.Unknown(after, "an item of this conversation");
            // The message that the last page ended in may have more items.
            request.AfterSeq = descending ? last.Seq + 1 : last.Seq - 1;
        }

        var items = new List<JsonObject>();
        var isBehind = after.Length == 0;
        MessagePath page;
        do
        {
            page = await messages.GetPathAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
            foreach (var message in page.Messages)
            {
                request.AfterSeq = message.Seq;
                var said = MessageItems.Of(message);
                foreach (var item in descending ? said.Reverse() : said)
                {
                    if (isBehind)
                    {
                        items.Add(item);
                    }

                    isBehind |= (string?)item["id"] == after;
                }
            }

            if (!isBehind)
            {
                throw CursorPage.Unknown(after, "an item of this conversation's current branch");
            }
        }
        while (items.Count <= limit && page.HasMore);

        return items.Count > limit ? (items[..limit], true) : (items, false);
    }

    /// <exception cref="OpenAIErrorException">There is no such item in the conversation.</exception>
    public async Task<(Message Message, JsonObject Item)> GetAsync(Scope scope, string sessionId, string itemId, CancellationToken cancellationToken) =>
        await FindAsync(scope, sessionId, itemId, cancellationToken) ?? throw new OpenAIErrorException(OpenAIError.ItemNotFound(itemId));

    /// <summary>Deletes an item. A message that has more of them stays, and says only the rest.</summary>
    public async Task DeleteAsync(Scope scope, string sessionId, string itemId, CancellationToken cancellationToken)
    {
        var (message, item) = await GetAsync(scope, sessionId, itemId, cancellationToken);
        var request = new DeleteMessageRequest { Scope = scope, SessionId = sessionId, MessageId = message.MessageId };
        if (MessageItems.Of(message).Count > 1)
        {
            request.Rest = ItemRemoval.Without(message, item);
        }

        await messages.DeleteAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
    }

    private async Task<(Message Message, JsonObject Item)?> FindAsync(Scope scope, string sessionId, string itemId, CancellationToken cancellationToken)
    {
        // Of an id that is none of ours, the conversation is still looked for: that it is missing comes first.
        var request = new GetMessageRequest { Scope = scope, SessionId = sessionId, MessageId = ItemIds.MessageOf(itemId) ?? "" };
        try
        {
            var message = await messages.GetAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
            return MessageItems.Of(message).FirstOrDefault(item => (string?)item["id"] == itemId) is { } found ? (message, found) : null;
        }
        catch (RpcException exception) when (exception is { StatusCode: StatusCode.NotFound, Status.Detail: OpenAIErrors.NoSuchMessage })
        {
            return null;
        }
    }

    private static OpenAIErrorException Invalid(string message) => new(OpenAIError.InvalidRequest(message, "items"));
}
