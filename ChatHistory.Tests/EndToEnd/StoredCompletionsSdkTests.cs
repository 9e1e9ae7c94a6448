// The SDK marks its calls for stored completions as experimental.
#pragma warning disable OPENAI001

using System.ClientModel;
using System.ClientModel.Primitives;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using OpenAI;
using OpenAI.Chat;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>The official .NET client, unmodified, reads what it had answered.</summary>
public sealed class StoredCompletionsSdkTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private ChatClient Chat => new OpenAIClient(
        new ApiKeyCredential("none-needed"),
        new OpenAIClientOptions { Endpoint = new Uri(system.Client.BaseAddress!, "/v1"), RetryPolicy = new ClientRetryPolicy(0) }).GetChatClient(RunningSystem.Model);

    [Fact]
    public async Task Stored_IsListedReadChangedAndDeleted()
    {
        var topic = Guid.NewGuid().ToString();
        List<string> ids = [];
        for (var i = 0; i < 3; i++)
        {
            var answered = await Chat.CompleteChatAsync([new SystemChatMessage("Be brief"), new UserChatMessage($"Hello {i}")], new() { StoredOutputEnabled = true });
            ids.Add(answered.Value.Id);
            await Chat.UpdateChatCompletionAsync(answered.Value.Id, new Dictionary<string, string> { ["topic"] = topic });
        }

        List<string> listed = [];
        var options = new ChatCompletionCollectionOptions { PageSizeLimit = 2, Metadata = { ["topic"] = topic } };
        await foreach (var completion in Chat.GetChatCompletionsAsync(options))
        {
            listed.Add(completion.Id);
        }

        var read = await Chat.GetChatCompletionAsync(ids[1]);
        List<string> prompt = [];
        await foreach (var message in Chat.GetChatCompletionMessagesAsync(ids[1]))
        {
            prompt.Add($"{message.Id} {message.Content}");
        }

        var deleted = await Chat.DeleteChatCompletionAsync(ids[1]);

        Assert.Equal(ids, listed);
        Assert.Equal((ids[1], ChatFinishReason.Stop), (read.Value.Id, read.Value.FinishReason));
        Assert.Equal([$"{ids[1]}-0 Be brief", $"{ids[1]}-1 Hello 1"], prompt);
        Assert.True(deleted.Value.Deleted);
        Assert.Equal(404, (await Assert.ThrowsAsync<ClientResultException>(() => Chat.GetChatCompletionAsync(ids[1]))).Status);
    }
}
