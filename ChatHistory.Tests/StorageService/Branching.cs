using ChatHistory.Storage.V1;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>Shapes a session's tree, and reads it in short texts.</summary>
internal static class Branching
{
    /// <summary>Adds user messages behind the session's head; returns their ids.</summary>
    public static async Task<string[]> AppendAllAsync(this StorageFixture storage, string sessionId, params string[] contents)
    {
        var appends = contents.Select(content => Append(sessionId, Says("user", content))).ToArray();
        var results = await storage.WriteAsync([.. appends.Select(append => append.In())]);
        Assert.All(results, result => Assert.NotNull(result.MessageAppended));
        return [.. appends.Select(append => append.Message.MessageId)];
    }

    public static async Task<Session> ForkAsync(this StorageFixture storage, string sessionId, string newSessionId, string? messageId = null, Scope? scope = null)
    {
        var request = new ForkSessionRequest { Scope = scope ?? Everyone, SessionId = sessionId, NewSessionId = newSessionId };
        if (messageId is not null)
        {
            request.MessageId = messageId;
        }

        return await storage.Sessions.ForkAsync(request);
    }

    public static async Task MoveHeadAsync(this StorageFixture storage, string sessionId, string messageId) =>
        await storage.Sessions.UpdateAsync(new UpdateSessionRequest { Scope = Everyone, SessionId = sessionId, HeadMessageId = messageId });

    public static async Task<string> ListedAsync(this StorageFixture storage, string sessionId) =>
        string.Join(' ', (await storage.ListAsync(sessionId)).Select(message => message.Content.Content));

    /// <summary>The list, read page by page.</summary>
    public static async Task<string> PagedAsync(this StorageFixture storage, string sessionId, int limit, bool byOffset, bool descending)
    {
        var read = new List<Message>();
        while (true)
        {
            var request = new ListMessagesRequest { Scope = Everyone, SessionId = sessionId, Limit = limit, Descending = descending };
            if (byOffset)
            {
                request.Offset = read.Count;
            }
            else if (read.Count > 0)
            {
                request.AfterSeq = read[^1].Seq;
            }

            var page = await storage.Sessions.ListMessagesAsync(request);
            Assert.True(page.Messages.Count == limit || !page.HasMore);
            read.AddRange(page.Messages);
            if (!page.HasMore)
            {
                Assert.Equal(page.Total, read.Count);
                return string.Join(' ', read.Select(message => message.Content.Content));
            }
        }
    }

    /// <summary>The children as <c>content|their children</c>.</summary>
    public static async Task<List<string>> ChildrenAsync(this StorageFixture storage, string sessionId, string messageId)
    {
        var reply = await storage.Messages.ListChildrenAsync(new ListChildrenRequest { Scope = Everyone, SessionId = sessionId, MessageId = messageId });
        return [.. reply.Messages.Select(message => $"{message.Content.Content}|{message.Children}")];
    }
}
