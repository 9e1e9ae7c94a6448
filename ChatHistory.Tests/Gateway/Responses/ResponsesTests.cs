using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway.Responses;

/// <summary>OpenAI's Responses as turns of a session, on the running system.</summary>
public sealed class ResponsesTests(PersonalSystem system) : IClassFixture<PersonalSystem>
{
    private const string Path = "/v1/responses";

    private HttpClient Client => system.Client;

    [Fact]
    public async Task AResponse_IsATurn_AndCanBeReadAgain()
    {
        var prompt = ChatRequests.NewPrompt();

        var answer = await PostAsync($$"""{"input":"{{prompt}}","instructions":"Be brief.","metadata":{"topic":"t"},"temperature":0.5,"max_output_tokens":500}""");
        var created = answer.Body;

        Assert.Equal(("response", "completed"), (Text(created, "object"), Text(created, "status")));
        var stored = await Client.GetJsonAsync($"{Path}/{Text(created, "id")}");
        Assert.Equal(WithoutTimes(created), WithoutTimes(stored.Body));
        Assert.Equal(("Be brief.", "t", 500), (Text(created, "instructions"), created.GetProperty("metadata").GetProperty("topic").GetString(), created.GetProperty("max_output_tokens").GetInt32()));
        Assert.Contains(prompt, OutputText(created), StringComparison.Ordinal);

        var messages = await Client.MessagesOfAsync(answer.SessionId);
        Assert.Equal([("user", prompt), ("assistant", OutputText(created))], messages.Select(message => (Text(message, "role"), Text(message, "content"))));
        Assert.Equal(Text(created, "id"), "resp_" + Text(messages[1], "message_id"));
        Assert.Equal(Text(created.GetProperty("output")[0], "id"), "msg_" + Text(messages[1], "message_id"));
        var usage = created.GetProperty("usage");
        Assert.Equal(messages[1].GetProperty("tokens").GetInt32(), usage.GetProperty("output_tokens").GetInt32());
        Assert.Equal(500, (await UpstreamAsync(prompt)).GetProperty("max_completion_tokens").GetInt32());
    }

    [Fact]
    public async Task AStream_HasTheEventsInOrder_AndEndsAsItIsStored()
    {
        var events = await ResponseEvents.PostAsync(Client, $$"""{"input":"{{ChatRequests.NewPrompt()}}","stream":true,"simulator":{"reasoning":true} }""");

        Assert.Equal("text/event-stream; charset=utf-8", events.Stream.Headers["Content-Type"]);
        Assert.Equal(Enumerable.Range(0, events.Data.Count).Select(number => (long)number), events.Numbers);
        Assert.Equal(
            ["response.created", "response.in_progress",
             "response.output_item.added", "response.content_part.added", "response.reasoning_text.delta", "response.reasoning_text.done", "response.content_part.done", "response.output_item.done",
             "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
             "response.completed"],
            WithoutRepetitions(events.Types));
        var deltas = events.Data.Where(data => Text(data, "type") == "response.output_text.delta").Select(data => Text(data, "delta"));
        Assert.Equal(OutputText(events.Response), string.Concat(deltas));
        Assert.Equal(WithoutTimes(await GetAsync(Text(events.Response, "id"))), WithoutTimes(events.Response));
        Assert.True(events.Response.GetProperty("usage").GetProperty("output_tokens").GetInt32() > 0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AToolCall_AndItsOutput_AreOneBranch(bool stream)
    {
        var prompt = ChatRequests.NewPrompt();
        var body = $$"""
            {"input":"{{prompt}}","tools":[{"type":"function","name":"weather","description":"d","parameters":{"type":"object","properties":{"city":{"type":"string"} },"required":["city"]},"strict":true}],
             "tool_choice":{"type":"function","name":"weather"},"stream":{{(stream ? "true" : "false")}} }
            """;
        var response = stream ? (await ResponseEvents.PostAsync(Client, body)).Response : await CreateAsync(body);

        var call = response.GetProperty("output").EnumerateArray().Single(item => Text(item, "type") == "function_call");
        Assert.Equal(("weather", "completed"), (Text(call, "name"), Text(call, "status")));
        Assert.True(JsonElement.Parse(Text(call, "arguments")).TryGetProperty("city", out _));

        var next = await CreateAsync($$"""{"previous_response_id":"{{Text(response, "id")}}","input":[{"type":"function_call_output","call_id":"{{Text(call, "call_id")}}","output":"sunny {{prompt}}"}]}""");

        Assert.Contains($"The tool said: “sunny {prompt}”. I read 3 messages (1 user, 1 assistant, 1 tool)", OutputText(next), StringComparison.Ordinal);
        var items = (await Client.GetJsonAsync($"{Path}/{Text(next, "id")}/input_items?order=asc")).Body.GetProperty("data").EnumerateArray().ToArray();
        Assert.Equal(["message", "function_call", "function_call_output"], items.Select(item => Text(item, "type")));
        Assert.Equal(Text(call, "call_id"), Text(items[2], "call_id"));
    }

    [Fact]
    public async Task StructuredOutput_FollowsTheSchema()
    {
        var response = await CreateAsync("""
            {"input":"a city","text":{"format":{"type":"json_schema","name":"city","strict":true,"schema":{"type":"object","properties":{"name":{"type":"string"},"people":{"type":"integer"}},"required":["name","people"],"additionalProperties":false}}}}
            """);

        var city = JsonElement.Parse(OutputText(response));
        Assert.Equal((JsonValueKind.String, JsonValueKind.Number), (city.GetProperty("name").ValueKind, city.GetProperty("people").ValueKind));
        Assert.Equal("city", response.GetProperty("text").GetProperty("format").GetProperty("name").GetString());
    }

    [Fact]
    public async Task PreviousResponses_MakeAChain_AndABranch()
    {
        var prompt = ChatRequests.NewPrompt();
        var answer = await PostAsync($$"""{"input":"{{prompt}}","instructions":"Only here."}""");
        var first = answer.Body;
        var second = await CreateAsync($$"""{"input":"and then?","previous_response_id":"{{Text(first, "id")}}"}""");
        var other = await CreateAsync($$"""{"input":"or else?","previous_response_id":"{{Text(first, "id")}}"}""");

        // Instructions do not carry over, and are no message.
        Assert.Contains("I read 2 messages (1 system, 1 user)", OutputText(first), StringComparison.Ordinal);
        Assert.Contains("I read 3 messages (2 user, 1 assistant)", OutputText(second), StringComparison.Ordinal);
        Assert.Contains("I read 3 messages (2 user, 1 assistant)", OutputText(other), StringComparison.Ordinal);
        Assert.Equal(Text(first, "id"), Text(second, "previous_response_id"));
        Assert.Equal(JsonValueKind.Null, second.GetProperty("instructions").ValueKind);

        var messages = await Client.MessagesOfAsync(answer.SessionId);
        Assert.Equal([prompt, OutputText(first), "and then?", OutputText(second), "or else?", OutputText(other)], messages.Select(message => Text(message, "content")));
        Assert.Equal(Text(messages[1], "message_id"), Text(messages[2], "parent_id"));
        Assert.Equal(Text(messages[1], "message_id"), Text(messages[4], "parent_id"));
    }

    [Fact]
    public async Task AConversation_IsASession()
    {
        var session = (await Client.PostJsonAsync("/v1/sessions", """{"user_id":"ada"}""")).Body.GetProperty("session_id").GetString();

        var first = await CreateAsync($$"""{"input":"one","conversation":"conv_{{session}}"}""");
        var second = await CreateAsync($$"""{"input":"two","conversation":{"id":"conv_{{session}}"} }""");

        Assert.Equal($"conv_{session}", second.GetProperty("conversation").GetProperty("id").GetString());
        Assert.Contains("I read 3 messages", OutputText(second), StringComparison.Ordinal);
        Assert.Equal(["one", OutputText(first), "two", OutputText(second)], (await Client.MessagesOfAsync(session!)).Select(message => Text(message, "content")));
    }

    [Fact]
    public async Task NotStored_LeadsNowhere()
    {
        var first = await CreateAsync($$"""{"input":"{{ChatRequests.NewPrompt()}}"}""");
        var response = await CreateAsync($$"""{"input":"not kept","store":false,"previous_response_id":"{{Text(first, "id")}}"}""");

        Assert.Contains("I read 3 messages (2 user, 1 assistant)", OutputText(response), StringComparison.Ordinal);
        Assert.False(response.GetProperty("store").GetBoolean());
        var missing = await Client.GetJsonAsync($"{Path}/{Text(response, "id")}");
        Assert.Equal((HttpStatusCode.NotFound, "response_not_found"), (missing.Status, missing.ErrorCode));
    }

    [Fact]
    public async Task InputItems_ArePages()
    {
        var response = await CreateAsync("""{"input":[{"role":"user","content":"1"},{"role":"assistant","content":"2"},{"role":"user","content":[{"type":"input_text","text":"3"},{"type":"input_image","image_url":"data:image/png;base64,AQID","detail":"low"}]}]}""");
        var path = $"{Path}/{Text(response, "id")}/input_items";

        var newest = (await Client.GetJsonAsync($"{path}?limit=2")).Body;
        var rest = (await Client.GetJsonAsync($"{path}?limit=2&after={Text(newest, "last_id")}")).Body;

        Assert.Equal(("list", true, false), (Text(newest, "object"), newest.GetProperty("has_more").GetBoolean(), rest.GetProperty("has_more").GetBoolean()));
        var items = newest.GetProperty("data").EnumerateArray().Concat(rest.GetProperty("data").EnumerateArray()).ToArray();
        Assert.Equal(["user", "assistant", "user"], items.Select(item => Text(item, "role")));
        Assert.Equal(["input_text", "input_image"], items[0].GetProperty("content").EnumerateArray().Select(part => Text(part, "type")));
        Assert.Equal(Text(items[0], "id"), Text(newest, "first_id"));
        Assert.Equal(HttpStatusCode.BadRequest, (await Client.GetJsonAsync($"{path}?limit=101")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await Client.GetJsonAsync($"{path}?after=msg_other")).Status);
    }

    [Fact]
    public async Task InputTokens_AreCountedWithoutATurn()
    {
        var first = await CreateAsync($$"""{"input":"{{ChatRequests.NewPrompt()}}"}""");

        var alone = (await Client.PostJsonAsync($"{Path}/input_tokens", """{"input":"How many?"}""")).Body;
        var behind = (await Client.PostJsonAsync($"{Path}/input_tokens", $$"""{"input":"How many?","previous_response_id":"{{Text(first, "id")}}"}""")).Body;

        Assert.Equal("response.input_tokens", Text(alone, "object"));
        Assert.InRange(alone.GetProperty("input_tokens").GetInt32(), 1, behind.GetProperty("input_tokens").GetInt32() - 1);
    }

    [Fact]
    public async Task InputTokens_OfWhatTheModelServerRefuses_AreItsRefusal()
    {
        var answer = await Client.PostJsonAsync($"{Path}/input_tokens", """{"input":"How many?","model":"other"}""");

        Assert.Equal(HttpStatusCode.NotFound, answer.Status);
        Assert.Contains("other", Text(answer.Body.GetProperty("error"), "message"), StringComparison.Ordinal);
        // Nor is it taken for a server that cannot count.
        Assert.Equal(HttpStatusCode.OK, (await Client.PostJsonAsync($"{Path}/input_tokens", """{"input":"How many?"}""")).Status);
    }

    [Fact]
    public async Task ADeletedResponse_IsGone_AndTheChainGoesOn()
    {
        var first = await CreateAsync($$"""{"input":"{{ChatRequests.NewPrompt()}}"}""");
        var second = await CreateAsync($$"""{"input":"more","previous_response_id":"{{Text(first, "id")}}"}""");

        var deleted = await Client.SendJsonAsync(HttpMethod.Delete, $"{Path}/{Text(first, "id")}");

        Assert.Equal((Text(first, "id"), "response.deleted", true), (Text(deleted.Body, "id"), Text(deleted.Body, "object"), deleted.Body.GetProperty("deleted").GetBoolean()));
        Assert.Equal(HttpStatusCode.NotFound, (await Client.GetJsonAsync($"{Path}/{Text(first, "id")}")).Status);
        var items = (await Client.GetJsonAsync($"{Path}/{Text(second, "id")}/input_items?order=asc")).Body.GetProperty("data").EnumerateArray();
        Assert.Equal(["user", "user"], items.Select(item => Text(item, "role")));
    }

    [Fact]
    public async Task InTheBackground_ItIsPolled()
    {
        var created = await CreateAsync($$"""{"input":"{{ChatRequests.NewPrompt()}}","background":true}""");

        Assert.Equal(("in_progress", true), (Text(created, "status"), created.GetProperty("background").GetBoolean()));
        var done = await Eventually.GetAsync(() => GetAsync(Text(created, "id")), response => Text(response, "status") != "in_progress");
        Assert.Equal("completed", Text(done, "status"));
        Assert.NotEqual("", OutputText(done));

        // Over is over: cancelling gives it as it ended.
        var cancelled = await Client.PostJsonAsync($"{Path}/{Text(created, "id")}/cancel", "{}");
        Assert.Equal((HttpStatusCode.OK, "completed"), (cancelled.Status, Text(cancelled.Body, "status")));
    }

    [Fact]
    public async Task InTheBackground_ItIsCancelled_AndKeepsWhatItHas()
    {
        var prompt = ChatRequests.NewPrompt();
        var created = await CreateAsync($$"""{"input":"{{prompt}}","background":true,"simulator":{"tokens":4000,"token_ms":10} }""");
        await system.Simulator.WaitForOutcomeAsync(prompt, "running");
        var tooEarly = await Client.PostJsonAsync(Path, $$"""{"input":"more","previous_response_id":"{{Text(created, "id")}}"}""");
        Assert.Equal((HttpStatusCode.Conflict, "previous_response_in_progress"), (tooEarly.Status, tooEarly.ErrorCode));

        var cancelled = await Client.PostJsonAsync($"{Path}/{Text(created, "id")}/cancel", "{}");

        Assert.Equal((HttpStatusCode.OK, "cancelled"), (cancelled.Status, Text(cancelled.Body, "status")));
        await system.Simulator.WaitForOutcomeAsync(prompt, "aborted");
        Assert.Equal("cancelled", Text(await GetAsync(Text(created, "id")), "status"));
    }

    [Fact]
    public async Task OnlyABackgroundResponse_CanBeCancelled()
    {
        var created = await CreateAsync($$"""{"input":"{{ChatRequests.NewPrompt()}}"}""");

        Assert.Equal(HttpStatusCode.BadRequest, (await Client.PostJsonAsync($"{Path}/{Text(created, "id")}/cancel", "{}")).Status);
    }

    [Fact]
    public async Task ABackgroundStream_IsResumedInItsMidst_AndAfterItsEnd()
    {
        var prompt = ChatRequests.NewPrompt();
        var created = await CreateAsync($$"""{"input":"{{prompt}}","background":true,"simulator":{"tokens":60,"token_ms":15,"reasoning":true} }""");
        await system.Simulator.WaitForOutcomeAsync(prompt, "running");

        var live = await ResponseEvents.ResumeAsync(Client, Text(created, "id"));
        var stored = await ResponseEvents.ResumeAsync(Client, Text(created, "id"));
        var rest = await ResponseEvents.ResumeAsync(Client, Text(created, "id"), startingAfter: 11);

        Assert.Equal(Enumerable.Range(0, live.Data.Count).Select(number => (long)number), live.Numbers);
        Assert.Equal("response.completed", live.Types[^1]);
        Assert.Equal(live.Data.Skip(2).Select(data => WithoutTimes(data)), stored.Data.Skip(2).Select(data => WithoutTimes(data)));
        Assert.Equal(stored.Stream.Data.Skip(12), rest.Stream.Data);
        Assert.Equal(WithoutTimes(await GetAsync(Text(created, "id"))), WithoutTimes(live.Response));
    }

    [Fact]
    public async Task AWholeAnswer_CanBeReadAsEvents()
    {
        var created = await CreateAsync($$"""{"input":"{{ChatRequests.NewPrompt()}}"}""");

        var events = await ResponseEvents.ResumeAsync(Client, Text(created, "id"));

        Assert.Equal("response.completed", events.Types[^1]);
        Assert.Equal(WithoutTimes(created), WithoutTimes(events.Response));
    }

    [Theory]
    [InlineData("close")]
    [InlineData("reset")]
    [InlineData("error-chunk")]
    public async Task AFailureInTheMidst_IsAnEvent(string fault)
    {
        var events = await ResponseEvents.PostAsync(Client, $$"""{"input":"{{ChatRequests.NewPrompt()}}","stream":true,"simulator":{"fault":"{{fault}}"} }""");

        Assert.Equal("response.failed", events.Types[^1]);
        Assert.Equal("failed", Text(events.Response, "status"));
        Assert.NotEqual("", events.Response.GetProperty("error").GetProperty("message").GetString());
        Assert.NotEqual("", OutputText(events.Response));
        Assert.Equal(WithoutTimes(await GetAsync(Text(events.Response, "id"))), WithoutTimes(events.Response));
    }

    [Theory]
    [InlineData("error-400", 400)]
    [InlineData("error-429", 429)]
    [InlineData("error-503", 503)]
    public async Task AFailureBeforeTheFirstWord_IsAnError(string fault, int status)
    {
        foreach (var stream in (string[])["true", "false"])
        {
            var answer = await Client.PostJsonAsync(Path, $$"""{"input":"{{ChatRequests.NewPrompt()}}","stream":{{stream}},"simulator":{"fault":"{{fault}}"} }""");

            Assert.Equal(status, (int)answer.Status);
            Assert.Equal("failed", Text(await GetAsync("resp_" + answer.Headers["X-Message-Id"]), "status"));
        }
    }

    [Fact]
    public async Task TheTokenLimit_MakesItIncomplete()
    {
        var response = await CreateAsync($$"""{"input":"{{ChatRequests.NewPrompt()}}","max_output_tokens":3}""");

        Assert.Equal(("incomplete", "max_output_tokens"), (Text(response, "status"), response.GetProperty("incomplete_details").GetProperty("reason").GetString()));
        Assert.Equal("incomplete", Text(response.GetProperty("output")[0], "status"));
    }

    [Fact]
    public async Task AnItemReference_StandsForTheStoredItem()
    {
        var first = await CreateAsync($$"""{"input":"{{ChatRequests.NewPrompt()}}"}""");
        var item = Text(first.GetProperty("output")[0], "id");

        var second = await CreateAsync($$"""{"input":[{"role":"user","content":"a"},{"type":"item_reference","id":"{{item}}"},{"role":"user","content":"b"}]}""");

        Assert.Contains("I read 3 messages (2 user, 1 assistant)", OutputText(second), StringComparison.Ordinal);
        var items = (await Client.GetJsonAsync($"{Path}/{Text(second, "id")}/input_items?order=asc")).Body.GetProperty("data");
        Assert.Equal(OutputText(first), items[1].GetProperty("content")[0].GetProperty("text").GetString());
    }

    // As clients do that keep the transcript themselves.
    [Fact]
    public async Task ATranscriptThatGrows_IsOneSession()
    {
        var prompt = ChatRequests.NewPrompt();
        var first = await PostAsync($$"""{"input":[{"role":"user","content":"{{prompt}}"}]}""");
        var second = await PostAsync($$"""{"input":[{"role":"user","content":"{{prompt}}"},{{first.Body.GetProperty("output")[0].GetRawText()}},{"role":"user","content":"more"}]}""");

        Assert.Equal(first.SessionId, second.SessionId);
        Assert.Equal(["user", "assistant", "user", "assistant"], (await Client.MessagesOfAsync(first.SessionId)).Select(message => Text(message, "role")));
    }

    [Theory]
    [InlineData("""{"input":"a","previous_response_id":"resp_unknown"}""", 400, "previous_response_not_found")]
    [InlineData("""{"input":"a","conversation":"conv_unknown"}""", 404, "conversation_not_found")]
    [InlineData("""{"input":"a","conversation":"unknown"}""", 404, "conversation_not_found")]
    [InlineData("""{"input":"a","background":true,"conversation":"conv_unknown"}""", 404, "conversation_not_found")]
    [InlineData("""{"input":[{"type":"item_reference","id":"msg_unknown"}]}""", 404, "item_not_found")]
    public async Task WhatIsNotThere_IsSaid(string body, int status, string code)
    {
        var answer = await Client.PostJsonAsync(Path, body);

        Assert.Equal((status, code), ((int)answer.Status, answer.ErrorCode));
    }

    private async Task<JsonElement> CreateAsync(string body) => (await PostAsync(body)).Body;

    private async Task<Answer> PostAsync(string body)
    {
        var answer = await Client.PostJsonAsync(Path, body);
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
        return answer;
    }

    private async Task<JsonElement> GetAsync(string id)
    {
        var answer = await Client.GetJsonAsync($"{Path}/{id}");
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
        return answer.Body;
    }

    private async Task<JsonElement> UpstreamAsync(string prompt) => (await system.Simulator.RequestsWithAsync(prompt)).Single().GetProperty("body");

    private static string Text(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String ? member.GetString()! : "";

    private static string OutputText(JsonElement response) => string.Concat(
        response.GetProperty("output").EnumerateArray().Where(item => Text(item, "type") == "message").SelectMany(item => item.GetProperty("content").EnumerateArray()).Select(part => Text(part, "text")));

    private static IEnumerable<string> WithoutRepetitions(IEnumerable<string> types)
    {
        var last = "";
        foreach (var type in types.Where(type => type != last))
        {
            last = type;
            yield return type;
        }
    }

    // What two clocks may see a second apart, and what only the stream tells.
    private static string WithoutTimes(JsonElement json) => Regex.Replace(json.GetRawText(), "\"(completed_at|reasoning_tokens|cached_tokens)\":[0-9]+", "\"$1\":0");
}
