// ChatCompletionOptions.Patch is the SDK's way to send members that it does not know; it is marked as experimental.
#pragma warning disable SCME0001

using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using OpenAI;
using OpenAI.Chat;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>The official .NET client's errors, and which of them it answers by asking again: it has no way to be told not to.</summary>
public sealed class OpenAISdkErrorTests(KeyedSystem system) : IClassFixture<KeyedSystem>
{
    [Theory]
    [InlineData("error-429", 429)]
    [InlineData("error-500", 500)]
    [InlineData("error-503", 503)]
    public async Task FailureThatMayPass_IsAskedAgain(string fault, int status)
    {
        var (chat, sent) = await NewChatAsync();
        var prompt = ChatRequests.NewPrompt();
        var options = new ChatCompletionOptions();
        options.Patch.Set("$.simulator.fault"u8, fault);

        var exception = await Assert.ThrowsAsync<ClientResultException>(() => chat.CompleteChatAsync([new UserChatMessage(prompt)], options));

        Assert.Equal((status, 4), (exception.Status, sent.Count));
        Assert.Equal(4, (await system.Simulator.RequestsWithAsync(prompt)).Length);
    }

    [Theory]
    [InlineData("error-400", 400)]
    [InlineData("error-401", 502)]
    public async Task FailureThatStays_IsNot(string fault, int status)
    {
        // 502 is asked again, too: it is not the caller's key that is wrong.
        var (chat, sent) = await NewChatAsync();
        var options = new ChatCompletionOptions();
        options.Patch.Set("$.simulator.fault"u8, fault);

        var exception = await Assert.ThrowsAsync<ClientResultException>(() => chat.CompleteChatAsync([new UserChatMessage("Hello")], options));

        Assert.Equal((status, status == 400 ? 1 : 4), (exception.Status, sent.Count));
    }

    [Fact]
    public async Task UnknownSession_IsNotFound()
    {
        var (chat, sent) = await NewChatAsync();
        var options = new ChatCompletionOptions();
        options.Patch.Set("$.session_id"u8, "no-such-session");

        var exception = await Assert.ThrowsAsync<ClientResultException>(() => chat.CompleteChatAsync([new UserChatMessage("Hello")], options));

        Assert.Equal((404, 1), (exception.Status, sent.Count));
        Assert.Contains("no-such-session", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WrongKey_IsUnauthorized()
    {
        var (chat, sent) = await NewChatAsync("chk_wrong");

        var exception = await Assert.ThrowsAsync<ClientResultException>(() => chat.CompleteChatAsync([new UserChatMessage("Hello")]));

        Assert.Equal((401, 1), (exception.Status, sent.Count));
        Assert.Contains("invalid_api_key", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TooLongPrompt_IsSaidToBeSo()
    {
        var (chat, _) = await NewChatAsync();

        var exception = await Assert.ThrowsAsync<ClientResultException>(() => chat.CompleteChatAsync([new UserChatMessage(new StringBuilder().Insert(0, "word ", 40_000).ToString())]));

        Assert.Equal(400, exception.Status);
        Assert.Contains("context_length_exceeded", exception.Message, StringComparison.Ordinal);
    }

    /// <summary>A client that repeats as it does by default, only without its pauses, and the requests that it sends.</summary>
    private async Task<(ChatClient Chat, List<Uri> Sent)> NewChatAsync(string? key = null)
    {
        if (key is null)
        {
            using var client = await system.Running.ClientOfAsync("sdk");
            key = client.DefaultRequestHeaders.Authorization!.Parameter!;
        }

        var sent = new Counting();
        var options = new OpenAIClientOptions { Endpoint = new Uri(system.Client.BaseAddress!, "/v1"), RetryPolicy = new Hurried() };
        options.AddPolicy(sent, PipelinePosition.PerTry);
        return (new OpenAIClient(new ApiKeyCredential(key), options).GetChatClient(RunningSystem.Model), sent.Requests);
    }

    private sealed class Hurried : ClientRetryPolicy
    {
        protected override TimeSpan GetNextDelay(PipelineMessage message, int tryCount) => TimeSpan.Zero;
    }

    private sealed class Counting : PipelinePolicy
    {
        public List<Uri> Requests { get; } = [];

        public override void Process(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex) => throw new NotSupportedException();

        public override ValueTask ProcessAsync(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
        {
            Requests.Add(message.Request.Uri!);
            return ProcessNextAsync(message, pipeline, currentIndex);
        }
    }
}
