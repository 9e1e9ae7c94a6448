// ChatCompletionOptions.Patch is the SDK's way to send members that it does not know; it is marked as experimental.
#pragma warning disable SCME0001

using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using OpenAI;
using OpenAI.Chat;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>The official .NET client, unmodified, against the running product; then the history holds what was said.</summary>
public sealed class OpenAISdkTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private static readonly ChatTool s_tool = ChatTool.CreateFunctionTool(
        "get_weather", "The weather.", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""));

    private readonly string _user = $"user-{Guid.NewGuid():N}";

    private OpenAIClient OpenAI => new(
        new ApiKeyCredential("none-needed"),
        new OpenAIClientOptions { Endpoint = new Uri(system.Client.BaseAddress!, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });

    private ChatClient Chat => OpenAI.GetChatClient(RunningSystem.Model);

    [Fact]
    public async Task Completion_IsAnsweredAndKept()
    {
        var completion = await Chat.CompleteChatAsync([new SystemChatMessage("Be brief"), new UserChatMessage("Hello")], new() { EndUserId = _user });

        Assert.Equal(ChatFinishReason.Stop, completion.Value.FinishReason);
        var stored = await StoredAsync();
        Assert.Equal([("system", "Be brief"), ("user", "Hello"), ("assistant", completion.Value.Content[0].Text)], stored.Select(RoleAndContent));
        Assert.Equal(completion.Value.Usage.OutputTokenCount, stored[2].GetProperty("tokens").GetInt32());
        Assert.Equal(completion.Value.Id, stored[2].GetProperty("completion_id").GetString());
        Assert.True(completion.GetRawResponse().Headers.TryGetValue("X-Session-Id", out _));
    }

    [Fact]
    public async Task Stream_IsAnsweredAndKept()
    {
        var text = new StringBuilder();
        ChatFinishReason? finishReason = null;
        ChatTokenUsage? usage = null;
        await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage("Hello stream")], new() { EndUserId = _user }))
        {
            text.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
            finishReason ??= update.FinishReason;
            usage ??= update.Usage;
        }

        Assert.Equal(ChatFinishReason.Stop, finishReason);
        Assert.Equal([("user", "Hello stream"), ("assistant", text.ToString())], (await StoredAsync()).Select(RoleAndContent));
        Assert.Equal(usage!.OutputTokenCount, (await StoredAsync())[1].GetProperty("tokens").GetInt32());
    }

    [Fact]
    public async Task ToolCalls_AreKeptWithTheirResults()
    {
        var options = new ChatCompletionOptions { Tools = { s_tool }, EndUserId = _user };
        var call = (await Chat.CompleteChatAsync([new UserChatMessage("Please use get_weather")], options)).Value;
        var session = (await SessionsAsync()).Single();

        // The transcript goes on in the same session: the SDK has a member for neither of our fields, but takes raw JSON.
        options.Patch.Set("$.session_id"u8, session.GetProperty("session_id").GetString()!);
        var answer = (await Chat.CompleteChatAsync(
            [new UserChatMessage("Please use get_weather"), new AssistantChatMessage(call), new ToolChatMessage(call.ToolCalls[0].Id, "Sunny")], options)).Value;

        var stored = await StoredAsync();
        Assert.Equal(["user", "assistant", "tool", "assistant"], stored.Select(message => message.GetProperty("role").GetString()));
        Assert.Equal(call.ToolCalls[0].Id, stored[1].GetProperty("tool_calls")[0].GetProperty("id").GetString());
        Assert.Equal(("Sunny", call.ToolCalls[0].Id), (stored[2].GetProperty("content").GetString(), stored[2].GetProperty("tool_call_id").GetString()));
        Assert.Equal(answer.Content[0].Text, stored[3].GetProperty("content").GetString());
    }

    [Fact]
    public async Task StreamedToolCalls_AreGatheredAndKept()
    {
        var options = new ChatCompletionOptions { Tools = { s_tool }, ToolChoice = ChatToolChoice.CreateFunctionChoice("get_weather"), EndUserId = _user };
        var (id, name) = ("", "");
        using var arguments = new MemoryStream();
        await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage("The weather, please")], options))
        {
            foreach (var call in update.ToolCallUpdates)
            {
                (id, name) = (call.ToolCallId ?? id, call.FunctionName ?? name);
                arguments.Write(call.FunctionArgumentsUpdate);
            }
        }

        var stored = (await StoredAsync())[1].GetProperty("tool_calls")[0];
        Assert.Equal(("get_weather", id), (name, stored.GetProperty("id").GetString()));
        Assert.Equal(Encoding.UTF8.GetString(arguments.ToArray()), stored.GetProperty("function").GetProperty("arguments").GetString());
        Assert.Equal(JsonValueKind.String, JsonElement.Parse(arguments.ToArray()).GetProperty("city").ValueKind);
    }

    [Fact]
    public async Task ResultOfATool_IsAllThatTheNextRequestBrings()
    {
        var options = new ChatCompletionOptions { Tools = { s_tool }, ToolChoice = ChatToolChoice.CreateRequiredChoice(), EndUserId = _user };
        var call = (await Chat.CompleteChatAsync([new UserChatMessage("The weather, please")], options)).Value.ToolCalls[0];

        var session = (await SessionsAsync()).Single();
        var next = new ChatCompletionOptions { Tools = { s_tool }, EndUserId = _user };
        next.Patch.Set("$.session_id"u8, session.GetProperty("session_id").GetString()!);
        var answer = (await Chat.CompleteChatAsync([new ToolChatMessage(call.Id, "Fog over the fjord")], next)).Value;

        Assert.Contains("Fog over the fjord", answer.Content[0].Text, StringComparison.Ordinal);
        Assert.Equal(["user", "assistant", "tool", "assistant"], (await StoredAsync()).Select(message => message.GetProperty("role").GetString()));
    }

    [Fact]
    public async Task StreamedStructuredOutput_IsTheSchemasJson()
    {
        var options = new ChatCompletionOptions
        {
            EndUserId = _user,
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat(
                "person", BinaryData.FromString("""{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}"""), jsonSchemaIsStrict: true),
        };
        var text = new StringBuilder();
        await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage("Who?")], options))
        {
            text.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
        }

        Assert.True(JsonElement.Parse(text.ToString()).GetProperty("age").TryGetInt32(out _));
        Assert.Equal(text.ToString(), (await StoredAsync())[1].GetProperty("content").GetString());
    }

    [Fact]
    public async Task Image_IsReplayedAsItWasSent()
    {
        var parts = new[] { ChatMessageContentPart.CreateTextPart("What is it?"), ChatMessageContentPart.CreateImagePart(new Uri("data:image/png;base64,AQID"), ChatImageDetailLevel.Low) };
        await Chat.CompleteChatAsync([new UserChatMessage(parts)], new ChatCompletionOptions { EndUserId = _user });

        var session = (await SessionsAsync()).Single();
        var next = new ChatCompletionOptions { EndUserId = _user };
        next.Patch.Set("$.session_id"u8, session.GetProperty("session_id").GetString()!);
        var question = ChatRequests.NewPrompt();
        await Chat.CompleteChatAsync([new UserChatMessage(question)], next);

        var replayed = (await system.Simulator.RequestsWithAsync(question)).Single().GetProperty("body").GetProperty("messages")[0].GetProperty("content");
        Assert.Equal(
            """[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID","detail":"low"}}]""", replayed.GetRawText());
    }

    [Fact]
    public async Task StructuredOutputAndImage_PassThrough()
    {
        var options = new ChatCompletionOptions
        {
            EndUserId = _user,
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat(
                "colour", BinaryData.FromString("""{"type":"object","properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false}"""), jsonSchemaIsStrict: true),
        };
        var image = ChatMessageContentPart.CreateImagePart(BinaryData.FromBytes([1, 2, 3]), "image/png");

        var completion = (await Chat.CompleteChatAsync([new UserChatMessage(ChatMessageContentPart.CreateTextPart("Which colour?"), image)], options)).Value;

        Assert.Equal(JsonValueKind.String, JsonElement.Parse(completion.Content[0].Text).GetProperty("name").ValueKind);
        Assert.Equal("data:image/png;base64,AQID", (await StoredAsync())[0].GetProperty("content_parts")[1].GetProperty("image_url").GetProperty("url").GetString());
    }

    [Fact]
    public async Task Models_AreListed() =>
        Assert.Equal([RunningSystem.Model], (await OpenAI.GetOpenAIModelClient().GetModelsAsync()).Value.Select(model => model.Id));

    [Theory]
    [InlineData("error-400", 400)]
    [InlineData("error-429", 429)]
    [InlineData("error-500", 500)]
    [InlineData("error-503", 503)]
    public async Task Errors_KeepTheirStatusAndTheirSentence(string fault, int status)
    {
        var options = new ChatCompletionOptions { EndUserId = _user };
        options.Patch.Set("$.simulator.fault"u8, fault);

        var exception = await Assert.ThrowsAsync<ClientResultException>(() => Chat.CompleteChatAsync([new UserChatMessage("Hello")], options));

        Assert.Equal(status, exception.Status);
        // The SDK shows the envelope's message; for problem+json it would only say "Service request failed".
        Assert.DoesNotContain("Service request failed", exception.Message, StringComparison.Ordinal);
        Assert.Equal("failed", (await StoredAsync())[1].GetProperty("status").GetString());
    }

    [Fact]
    public async Task UnknownModel_IsNotFound()
    {
        var exception = await Assert.ThrowsAsync<ClientResultException>(() => OpenAI.GetChatClient("no-such-model").CompleteChatAsync("Hello"));

        Assert.Equal(404, exception.Status);
        Assert.Contains("no-such-model", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BrokenStream_Raises()
    {
        var options = new ChatCompletionOptions { EndUserId = _user };
        options.Patch.Set("$.simulator.fault"u8, "close");

        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage("Hello")], options))
            {
                Assert.NotNull(update);
            }
        });

        Assert.Equal("failed", (await StoredAsync())[1].GetProperty("status").GetString());
    }

    [Fact]
    public async Task Cancellation_StopsTheModel_AndKeepsWhatHadCome()
    {
        var options = new ChatCompletionOptions { EndUserId = _user };
        options.Patch.Set("$.simulator"u8, BinaryData.FromString("""{"tokens":4000,"token_ms":10}"""));
        using var leaving = new CancellationTokenSource();
        var seen = new StringBuilder();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage("Hello cancellation")], options, leaving.Token))
            {
                seen.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
                if (seen.Length > 50)
                {
                    await leaving.CancelAsync();
                }
            }
        });

        await system.Simulator.WaitForOutcomeAsync("Hello cancellation", "aborted");
        var stored = await Eventually.GetAsync(async () => (await StoredAsync())[1], answer => answer.GetProperty("status").GetString() != "in_progress");
        Assert.Equal("cancelled", stored.GetProperty("status").GetString());
        Assert.StartsWith(seen.ToString(), stored.GetProperty("content").GetString(), StringComparison.Ordinal);
    }

    private async Task<JsonElement[]> SessionsAsync() =>
        [.. (await system.Client.GetJsonAsync($"/v1/sessions?user_id={_user}")).Body.GetProperty("sessions").EnumerateArray()];

    private async Task<JsonElement[]> StoredAsync() =>
        await system.Client.MessagesOfAsync((await SessionsAsync()).Single().GetProperty("session_id").GetString()!);

    private static (string?, string?) RoleAndContent(JsonElement message) => (message.GetProperty("role").GetString(), message.GetProperty("content").GetString());
}
