using System.Text.Json.Nodes;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;
using Grpc.Core;

namespace ChatHistory.Gateway.Responses;

/// <summary>Responses as they are stored: each is an answer in a session's tree, and its id is that message's.</summary>
internal sealed class StoredResponses(MessagesClient messages, TimeProvider time)
{
    /// <exception cref="OpenAIErrorException">There is none, or it is somebody else's.</exception>
    public async Task<Message> GetAsync(Scope scope, string responseId, CancellationToken cancellationToken) =>
        await FindAsync(scope, ItemIds.AnswerOf(responseId), cancellationToken) is { Content.Role: "assistant" } answer
            ? answer
            : throw new OpenAIErrorException(OpenAIError.ResponseNotFound(responseId));

    /// <summary>The answer behind <c>previous_response_id</c>.</summary>
    /// <exception cref="OpenAIErrorException">There is none, it is somebody else's, or it is not over.</exception>
    public async Task<Message> GetPreviousAsync(Scope scope, string responseId, CancellationToken cancellationToken) =>
        await FindAsync(scope, ItemIds.AnswerOf(responseId), cancellationToken) switch
        {
            { Content.Role: "assistant", Status: not TurnStatus.InProgress } answer => answer,
            { Content.Role: "assistant" } => throw new OpenAIErrorException(new OpenAIError(
                StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "previous_response_in_progress",
                $"Response '{responseId}' is still being made. Wait for it, or cancel it, then continue it.", "previous_response_id")
            {
                ShouldRetry = false,
            }),
            _ => throw new OpenAIErrorException(new OpenAIError(
                StatusCodes.Status400BadRequest, ErrorTypes.InvalidRequest, "previous_response_not_found",
                $"Previous response with id '{responseId}' not found. Responses that were created with \"store\": false are not kept.", "previous_response_id")),
        };

    /// <summary>What the response was made of: every item before it on its branch, oldest first.</summary>
    public async Task<IEnumerable<JsonObject>> ReadInputAsync(Scope scope, Message answer, CancellationToken cancellationToken) =>
        (await ReadPathAsync(scope, answer, cancellationToken)).SkipLast(1).SelectMany(MessageItems.Of);

    /// <summary>The messages up to this one, itself included, oldest first.</summary>
    public async Task<IReadOnlyList<Message>> ReadPathAsync(Scope scope, Message message, CancellationToken cancellationToken)
    {
        var request = new GetPathRequest { Scope = scope, MessageId = message.MessageId };
        return (await messages.GetPathAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken)).Messages;
    }

    /// <summary>The messages of a conversation up to its head, oldest first.</summary>
    public async Task<IReadOnlyList<Message>> ReadConversationAsync(Scope scope, string conversationId, CancellationToken cancellationToken)
    {
        var notFound = new OpenAIErrorException(OpenAIError.ConversationNotFound(conversationId));
        var request = new GetPathRequest { Scope = scope, SessionId = ItemIds.SessionOf(conversationId) ?? throw notFound };
        try
        {
            return (await messages.GetPathAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken)).Messages;
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            throw notFound;
        }
    }

    /// <summary>The items that a request names by id only, as far as they are there.</summary>
    public async Task<IReadOnlyDictionary<string, JsonObject>> FindItemsAsync(Scope scope, IReadOnlyList<string> itemIds, CancellationToken cancellationToken)
    {
        var found = new Dictionary<string, JsonObject>();
        foreach (var messageId in itemIds.Select(ItemIds.MessageOf).OfType<string>().Distinct())
        {
            foreach (var item in await FindAsync(scope, messageId, cancellationToken) is { } message ? MessageItems.Of(message) : [])
            {
                found[(string)item["id"]!] = item;
            }
        }

        return found;
    }

    /// <summary>Deletes the answer; what followed it follows the message before it.</summary>
    public async Task DeleteAsync(Scope scope, string messageId, CancellationToken cancellationToken) =>
        await messages.DeleteAsync(new DeleteMessageRequest { Scope = scope, MessageId = messageId }, deadline: time.Deadline(), cancellationToken: cancellationToken);

    private async Task<Message?> FindAsync(Scope scope, string? messageId, CancellationToken cancellationToken)
    {
        if (messageId is null)
        {
            return null;
        }

        try
        {
            return await messages.GetAsync(new GetMessageRequest { Scope = scope, MessageId = messageId }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            return null;
        }
    }
}
