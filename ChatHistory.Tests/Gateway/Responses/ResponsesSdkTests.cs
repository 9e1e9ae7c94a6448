#pragma warning disable OPENAI001 // The SDK calls its Responses experimental.
#pragma warning disable SCME0001 // And the way to send members that it does not know.

using System.ClientModel;
using System.Text;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using OpenAI.Responses;

namespace ChatHistory.Tests.Gateway.Responses;

/// <summary>The official .NET client, unmodified, with only its base URL changed.</summary>
public sealed class ResponsesSdkTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private ResponsesClient Client => new(new ApiKeyCredential("none"), new ResponsesClientOptions { Endpoint = new Uri(system.Client.BaseAddress!, "/v1") });

    [Fact]
    public async Task Create_Continue_Get_InputItems_Delete()
    {
        var prompt = ChatRequests.NewPrompt();
        var first = (await Client.CreateResponseAsync(RunningSystem.Model, prompt)).Value;
        var second = (await Client.CreateResponseAsync(RunningSystem.Model, "and then?", first.Id)).Value;

        Assert.Equal((ResponseStatus.Completed, first.Id), (second.Status, second.PreviousResponseId));
        Assert.Contains(prompt, first.GetOutputText(), StringComparison.Ordinal);
        Assert.Contains("I read 3 messages", second.GetOutputText(), StringComparison.Ordinal);
        Assert.Equal(second.GetOutputText(), (await Client.GetResponseAsync(second.Id)).Value.GetOutputText());
        Assert.True(second.Usage.TotalTokenCount > second.Usage.OutputTokenCount);

        var roles = new List<MessageRole>();
        await foreach (var item in Client.GetResponseInputItemsAsync(new ResponseItemCollectionOptions(second.Id) { PageSizeLimit = 2, Order = ResponseItemCollectionOrder.Ascending }))
        {
            roles.Add(Assert.IsAssignableFrom<MessageResponseItem>(item).Role);
        }

        Assert.Equal([MessageRole.User, MessageRole.Assistant, MessageRole.User], roles);
        Assert.True((await Client.DeleteResponseAsync(second.Id)).Value.Deleted);
        Assert.Equal(404, (await Assert.ThrowsAsync<ClientResultException>(() => Client.GetResponseAsync(second.Id))).Status);
    }

    [Fact]
    public async Task Stream_GivesTextReasoningAndTheFinalResponse()
    {
        var options = new CreateResponseOptions(RunningSystem.Model, [ResponseItem.CreateUserMessageItem(ChatRequests.NewPrompt())]) { StreamingEnabled = true };
        options.Patch.Set("$.simulator"u8, BinaryData.FromString("""{"reasoning":true}"""));
        var (text, reasoning) = (new StringBuilder(), new StringBuilder());
        ResponseResult? completed = null;
        await foreach (var update in await Client.CreateResponseStreamingAsync(options))
        {
            text.Append((update as StreamingResponseOutputTextDeltaUpdate)?.Delta);
            reasoning.Append((update as StreamingResponseReasoningTextDeltaUpdate)?.Delta);
            completed = (update as StreamingResponseCompletedUpdate)?.Response;
        }

        Assert.Equal(completed!.GetOutputText(), text.ToString());
        Assert.NotEqual("", reasoning.ToString());
        Assert.Equal((await Client.GetResponseAsync(completed.Id)).Value.GetOutputText(), text.ToString());
    }

    [Fact]
    public async Task AFunction_IsCalled_AndItsOutputAnswered()
    {
        var prompt = ChatRequests.NewPrompt();
        var options = new CreateResponseOptions(RunningSystem.Model, [ResponseItem.CreateUserMessageItem(prompt)])
        {
            Tools = { ResponseTool.CreateFunctionTool("weather", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""), strictModeEnabled: true) },
            ToolChoice = ResponseToolChoice.CreateRequiredChoice(),
        };
        var first = (await Client.CreateResponseAsync(options)).Value;
        var call = first.OutputItems.OfType<FunctionCallResponseItem>().Single();
        Assert.True(JsonElement.Parse(call.FunctionArguments).TryGetProperty("city", out _));

        // As an agent does that keeps the transcript itself.
        var second = (await Client.CreateResponseAsync(
            RunningSystem.Model, [ResponseItem.CreateUserMessageItem(prompt), .. first.OutputItems, ResponseItem.CreateFunctionCallOutputItem(call.CallId, "sunny")])).Value;

        Assert.Contains("The tool said: “sunny”. I read 3 messages (1 user, 1 assistant, 1 tool)", second.GetOutputText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task InTheBackground_ItIsFollowed_AndCancelled()
    {
        var options = new CreateResponseOptions(RunningSystem.Model, [ResponseItem.CreateUserMessageItem(ChatRequests.NewPrompt())]) { BackgroundModeEnabled = true };
        options.Patch.Set("$.simulator"u8, BinaryData.FromString("""{"tokens":4000,"token_ms":10}"""));
        var started = (await Client.CreateResponseAsync(options)).Value;

        StreamingResponseUpdateKind? last = null;
        await foreach (var update in await Client.GetResponseStreamingAsync(started.Id))
        {
            last = update.Kind;
            if (update is StreamingResponseOutputTextDeltaUpdate { SequenceNumber: 8 })
            {
                Assert.Equal(ResponseStatus.Cancelled, (await Client.CancelResponseAsync(started.Id)).Value.Status);
            }
        }

        Assert.Equal(StreamingResponseUpdateKind.ResponseIncomplete, last);
        Assert.Equal(ResponseStatus.Cancelled, (await Client.GetResponseAsync(started.Id)).Value.Status);
    }

    [Fact]
    public async Task Errors_KeepTheirStatusAndTheirSentence()
    {
        var exception = await Assert.ThrowsAsync<ClientResultException>(() => Client.CreateResponseAsync(RunningSystem.Model, "Hi", "resp_unknown"));

        Assert.Equal(400, exception.Status);
        Assert.Contains("Previous response with id 'resp_unknown' not found", exception.Message, StringComparison.Ordinal);
    }
}
