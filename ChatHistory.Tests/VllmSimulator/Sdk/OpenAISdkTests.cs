using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;

namespace ChatHistory.Tests.VllmSimulator.Sdk;

/// <summary>The official .NET client, unmodified, cannot tell the simulator from vLLM.</summary>
public sealed class OpenAISdkTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    private static readonly ChatTool s_tool = ChatTool.CreateFunctionTool(
        "get_weather", "The weather.", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""));

    private OpenAIClient OpenAI => new(
        new ApiKeyCredential("any"),
        new OpenAIClientOptions { Endpoint = new Uri(server.Client.BaseAddress!, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });

    private ChatClient Chat => OpenAI.GetChatClient(SimulatorServer.Model);

    [Fact]
    public async Task Completion_IsUnderstood()
    {
        var completion = (await Chat.CompleteChatAsync([new SystemChatMessage("s"), new UserChatMessage("Hi")])).Value;

        Assert.StartsWith("I am a simulated model. You said: “Hi”.", completion.Content[0].Text, StringComparison.Ordinal);
        Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
        Assert.Equal(SimulatorServer.Model, completion.SystemFingerprint);
        Assert.Equal(completion.Usage.TotalTokenCount, completion.Usage.InputTokenCount + completion.Usage.OutputTokenCount);
    }

    [Fact]
    public async Task Stream_IsUnderstood()
    {
        var text = "";
        ChatTokenUsage? usage = null;
        ChatFinishReason? finishReason = null;
        await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage("Hi")]))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            usage ??= update.Usage;
            finishReason ??= update.FinishReason;
        }

        Assert.Equal((await Chat.CompleteChatAsync([new UserChatMessage("Hi")])).Value.Content[0].Text, text);
        Assert.Equal(ChatFinishReason.Stop, finishReason);
        Assert.True(usage!.OutputTokenCount > 0);
    }

    [Fact]
    public async Task ToolRound_ComesToItsEnd()
    {
        var options = new ChatCompletionOptions { Tools = { s_tool } };
        List<ChatMessage> messages = [new UserChatMessage("Please use get_weather")];

        var call = (await Chat.CompleteChatAsync(messages, options)).Value;
        Assert.Equal(ChatFinishReason.ToolCalls, call.FinishReason);
        Assert.Equal("""{"city":"simulated"}""", call.ToolCalls[0].FunctionArguments.ToString());

        messages.Add(new AssistantChatMessage(call));
        messages.Add(new ToolChatMessage(call.ToolCalls[0].Id, "Sunny"));
        Assert.Contains("The tool said: “Sunny”", (await Chat.CompleteChatAsync(messages, options)).Value.Content[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StreamedToolCall_IsUnderstood()
    {
        var arguments = "";
        await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage("get_weather")], new ChatCompletionOptions { Tools = { s_tool } }))
        {
            arguments += string.Concat(update.ToolCallUpdates.Select(part => part.FunctionArgumentsUpdate?.ToString()));
        }

        Assert.Equal("""{"city":"simulated"}""", arguments);
    }

    [Fact]
    public async Task Embedding_IsUnderstood()
    {
        var embedding = (await OpenAI.GetEmbeddingClient(SimulatorServer.Model).GenerateEmbeddingAsync("Hi")).Value;

        Assert.Equal(384, embedding.ToFloats().Length);
    }

    [Fact]
    public async Task Models_AreUnderstood()
    {
        var models = OpenAI.GetOpenAIModelClient();

        Assert.Equal(SimulatorServer.Model, (await models.GetModelsAsync()).Value.Single().Id);
        Assert.Equal("chathistory-simulator", (await models.GetModelAsync(SimulatorServer.Model)).Value.OwnedBy);
    }

    [Fact]
    public async Task UnknownModel_IsA404()
    {
        var error = await Assert.ThrowsAsync<ClientResultException>(() => OpenAI.GetChatClient("gpt-4").CompleteChatAsync([new UserChatMessage("Hi")]));

        Assert.Equal(404, error.Status);
        Assert.Contains("The model `gpt-4` does not exist.", error.Message, StringComparison.Ordinal);
    }
}
